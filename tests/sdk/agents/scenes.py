"""The scenes of an agent, whatever it is built with: `run(key, prompt)` runs one that has the tools below to its end and gives
its last words. Both its model and its tools are reached through bursar.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback

import model
import openai
import stripe
from model import env

LIMIT = 30.0  # seconds that a fact may take to appear


def tools(key):
    """Plain functions; each kit wraps them in its own way. A refusal goes to the model as the SDK's own error says it."""
    api = stripe.StripeClient(key, base_addresses={"api": f"{env('BURSAR_URL')}/stripe"}, max_network_retries=2)

    def charge(cents: int) -> str:
        """Charges the customer's card."""
        try:
            return f"charged {api.v1.charges.create({'amount': cents, 'currency': 'usd', 'source': 'tok_visa'}).amount}"
        except stripe.StripeError as error:
            return f"{type(error).__name__}: {error}"

    def payout(cents: int) -> str:
        """Pays out to the bank."""
        try:
            return f"paid {api.v1.payouts.create({'amount': cents, 'currency': 'usd'}).id}"
        except stripe.StripeError as error:
            return f"{type(error).__name__}: {error}"

    return charge, payout


def bursar(*args):
    command = [env("BURSAR_BIN"), *args, "--data", env("BURSAR_DATA")]
    names = {**os.environ, "SUDO_USER": "", "USER": "ann"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=names)
    assert done.returncode == 0, f"bursar {' '.join(args)}: {done.stdout} {done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]


def pending(amount):
    listed = [row for row in bursar("approval", "list", "--json") if row["request"]["estimate_usd"] == amount]
    return listed[0]["id"] if listed else None


def charges():
    return len(model.seen("/v1/charges"))


def allow(run):
    before = charges()
    said = run(env("KEY_AGENT"), "charge 200")
    assert said == "The tool said: charged 200", said
    assert charges() == before + 1
    for path in ["/v1/charges", *PATHS]:
        assert all("vk_" not in str(request) for request in model.seen(path)), "a vault key reached a vendor"


PATHS = ["/v1/responses", "/v1/chat/completions"]


def caps(run):
    """Without an output limit of its own, the model's call is given one that its small budget can pay."""
    run(env("KEY_POOR"), "hello")
    body = json.loads([body for path in PATHS for _, body in model.seen(path)][-1])
    given = body.get("max_output_tokens") or body.get("max_completion_tokens") or body.get("max_tokens")
    assert given and 100 <= given <= 1000, body


def approval(run):
    before = charges()
    said = run(env("KEY_AGENT"), "charge 700")
    found = re.search(r"ap_[0-9a-f]{16}", said)
    assert found and "must approve" in said and "PermissionError" in said, said
    assert charges() == before, "nothing left"
    bursar("approval", "approve", found.group(), "--reason", "fine", "--json")
    assert run(env("KEY_AGENT"), "charge 700") == "The tool said: charged 700"
    assert "must approve" in run(env("KEY_AGENT"), "charge 700"), "a yes is for once"
    assert charges() == before + 1


def approval_while_it_waits(run):
    said = []
    agent = threading.Thread(target=lambda: said.append(run(env("KEY_WAITS"), "charge 800")))
    agent.start()
    end = time.monotonic() + LIMIT
    while not (asked := pending("8")):
        assert time.monotonic() < end and agent.is_alive(), said
        time.sleep(0.05)
    bursar("approval", "approve", asked, "--json")
    agent.join(LIMIT)
    assert said == ["The tool said: charged 800"], said


def denial(run):
    said = run(env("KEY_AGENT"), "payout 500")
    assert "PermissionError" in said and "is not allowed" in said and "It allows" in said, said
    assert not model.seen("/v1/payouts")
    try:
        said = run(env("KEY_SPENT"), "hello")
    except openai.PermissionDeniedError as error:
        assert error.body and "budget" in str(error), error
        return
    raise AssertionError(f"nothing raised, said {said}")


def play(title, run):
    model.start(int(env("MODEL_PORT")))
    failed = 0
    for scene in [allow, caps, approval, approval_while_it_waits, denial]:
        name = f"{title} {scene.__name__.replace('_', ' ')}"
        try:
            scene(run)
            print(f"ok {name}", flush=True)
        except Exception as error:  # goes on after a failed scene
            failed += 1
            traceback.print_exc()
            print(f"not ok {name} {type(error).__name__}: {' '.join(str(error).split())[:800]}", flush=True)
    sys.exit(1 if failed else 0)
