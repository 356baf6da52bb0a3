"""What the Python suites share: the environment they are given, named cases, and the checks on the recorders' logs.

README.md one folder up says what the environment must hold.
"""

import base64
import json
import os
import subprocess
import sys
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass

WAIT = 10.0  # seconds that a fact may take to appear in a log
REVOKED_WITHIN = 1.0  # seconds from the end of a revoke to the end of its streams


def env(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set; tests/sdk/README.md says what it must hold")
    return value


@dataclass
class Style:
    """One way to reach bursar: by path prefix, or by bare host with a key that is bound to one vendor."""

    name: str
    vendor: str

    @property
    def _bare(self):
        return "BARE_" if self.name == "bare" else ""

    def _base(self, root):
        return root if self.name == "bare" else f"{root}/{self.vendor}"

    @property
    def url(self):
        return self._base(env("BURSAR_URL"))

    @property
    def front(self):
        """The same door, through the recorder that counts attempts."""
        return self._base(env("BURSAR_FRONT_URL"))

    def key(self, role=""):
        role = f"{role}_" if role else ""
        return env(f"BURSAR_{self._bare}{role}KEY_{self.vendor.upper()}")

    def key_id(self, role):
        return env(f"BURSAR_{self._bare}{role}_ID_{self.vendor.upper()}")


class Log:
    """A recorder's file: one JSON line a request, one an answer."""

    def __init__(self, path):
        self.path = path

    def rows(self):
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file.read().splitlines(keepends=True) if line.endswith("\n")]

    def mark(self):
        return len(self.rows())

    def since(self, mark, kind):
        return [row for row in self.rows()[mark:] if row["kind"] == kind]

    def wait(self, mark, kind, count):
        """The rows of `kind` since `mark`, once there are `count` of them."""
        end = time.monotonic() + WAIT
        while True:
            rows = self.since(mark, kind)
            if len(rows) >= count or time.monotonic() > end:
                return rows
            time.sleep(0.01)


def header(row, name):
    """All values of a header in a recorded row."""
    return [value for key, value in row["headers"] if key.lower() == name]


class Suite:
    def __init__(self, vendor, title=None):
        self.vendor = vendor
        self.title = f"{title or vendor} python"
        self.direct = os.environ.get("BURSAR_MODE") == "direct"
        self.real = env(f"BURSAR_REAL_{vendor.upper()}")
        self.log = Log(env(f"BURSAR_RECORD_{vendor.upper()}"))
        self.cases = []

    # -- cases

    def case(self, run):
        """Marks a case that bursar must let through. In direct mode it also runs against the mock itself."""
        self.cases.append((run, False))
        return run

    def bursar_case(self, run):
        """Marks a case that needs bursar: a refusal, a revocation."""
        self.cases.append((run, True))
        return run

    def run(self):
        """Runs the cases in each style, prints a line for each, and says how many failed."""
        failed = 0
        wanted = sys.argv[1:]
        for style in ["bare"] if self.direct else ["prefix", "bare"]:
            for case, needs_bursar in self.cases:
                name = f"{self.title} {style} {case.__name__.replace(chr(95), chr(32))}"
                if wanted and case.__name__ not in wanted:
                    continue
                if self.direct and needs_bursar:
                    print(f"ok {name} # skipped: needs bursar")
                    continue
                try:
                    case(Style(style, self.vendor))
                    print(f"ok {name}", flush=True)
                except Exception as error:  # a suite goes on after a failed case
                    failed += 1
                    traceback.print_exc()
                    print(f"not ok {name} {type(error).__name__}: {' '.join(str(error).split())[:600]}", flush=True)
        return failed

    # -- what the vendor received

    @contextmanager
    def vendor_sees(self, *expected):
        """The vendor receives exactly these requests ("POST /v1/x"), with the real credential and no trace of ours."""
        mark = self.log.mark()
        seen = []
        yield seen
        rows = self.log.wait(mark, "request", len(expected))
        got = [f"{row['method']} {row['path']}" for row in rows]
        assert got == list(expected), f"the vendor received {got}, not {list(expected)}"
        for row in rows:
            self.is_clean(row)
        seen.extend(rows)

    def is_clean(self, row):
        text = json.dumps(row)
        assert "vk_" not in text, f"the vendor received a vault key: {text[:2000]}"
        if not self.direct:
            assert "x-bursar" not in text.lower(), f"the vendor received a header of ours: {text[:2000]}"
        assert self.credential_is_real(row), f"the vendor received another credential: {row['headers']}"

    def credential_is_real(self, row):
        auth, api_key = header(row, "authorization"), header(row, "x-api-key")
        if self.vendor == "anthropic":
            return [*api_key, *auth] in ([self.real], [f"Bearer {self.real}"])
        if self.vendor == "twilio":
            return auth == ["Basic " + base64.b64encode(self.real.encode()).decode()]
        return auth == [f"Bearer {self.real}"] and not api_key

    # -- what bursar refuses

    def refused(self, call, raises, status=403, code="policy_denied", reaching_vendor=0):
        """`call` must raise `raises` with bursar's sentence in it, after one attempt, which no vendor saw (or one did).

        `call` uses `style.front`, so that the attempts can be counted.
        """
        front = Log(env("BURSAR_FRONT_LOG"))
        vendor_mark, mark = self.log.mark(), front.mark()
        error = raised(call, raises)
        answers = front.wait(mark, "answer", 1)
        requests = front.since(mark, "request")
        assert len(requests) == 1 and len(answers) == 1, f"{len(requests)} attempts for one refusal"
        answer = answers[0]
        assert answer.get("status") == status, f"bursar answered {answer}"
        body = json.loads(answer["body"])
        ours = body.get("bursar")
        assert isinstance(ours, dict), f"no bursar object in {body}"
        assert code is None or ours.get("code") == code, f"code {ours.get('code')}, not {code}: {body}"
        if status == 403:
            assert header(answer, "x-should-retry") == ["false"], answer["headers"]
            assert header(answer, "stripe-should-retry") == ["false"], answer["headers"]
        assert not header(answer, "retry-after"), answer["headers"]
        assert header(answer, "x-bursar-call"), answer["headers"]
        sentence = body["error"]["message"] if isinstance(body.get("error"), dict) else body["message"]
        assert len(sentence) > 10 and sentence in str(error), f"{sentence!r} is not in {str(error)!r}"
        sent = self.log.since(vendor_mark, "request")
        assert len(sent) == reaching_vendor, f"the vendor received {sent}"
        return error

    def cut_by_revoke(self, style, stream, raises):
        """Reads a long stream, revokes its key after the first event, and expects the stream's error within a second."""
        events = iter(stream)
        first = next(events)
        bursar("key", "revoke", style.key_id("STREAM"), "--reason", "the suite turns the key off")
        revoked = time.monotonic()

        def drain():
            for _ in events:
                assert time.monotonic() - revoked < 30, "the stream went on for 30 s"

        error = raised(drain, raises)
        took = time.monotonic() - revoked
        assert took <= REVOKED_WITHIN, f"the stream ended {took:.2f} s after the revoke returned"
        return first, error


def run(*suites):
    sys.exit(1 if sum(suite.run() for suite in suites) else 0)


def raised(call, kind):
    """The exception of `kind` that `call` raises."""
    try:
        answer = call()
    except kind as error:
        return error
    except Exception as error:
        raise AssertionError(f"raised {type(error).__name__} ({error}), not {kind}") from error
    raise AssertionError(f"nothing raised, answered {str(answer)[:500]}")


def bursar(*args):
    """Runs the bursar command against the server under test."""
    done = subprocess.run(
        [env("BURSAR_BIN"), *args, "--data", env("BURSAR_DATA")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, f"bursar {' '.join(args)}: exit {done.returncode}, {done.stdout} {done.stderr}"
    return done.stdout
