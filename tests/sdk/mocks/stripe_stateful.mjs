// Starts stripe-stateful-mock (charges, refunds, customers, idempotency) on a free loopback port. Its own start script
// would listen on every interface, so its express app is bound here instead.
import { announce, need } from "./launch.mjs";

const { createExpressApp } = need("stripe-stateful-mock");

const server = createExpressApp().listen(0, "127.0.0.1", () => announce("stripe-stateful-mock", server.address().port));
