"""Computes how long calls take, and what they cost, with different memory sizes of the functions.

    python3 tests/bench/memory.py               writes the section "Memory" of tests/bench/RESULTS.md
    python3 tests/bench/memory.py --check       fails if the section or the sizes in infra/template.yaml differ

Measures nothing: it reads the measured CPU times and request counts from the other sections of the page.
"""

import argparse
import math
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "tests" / "bench" / "RESULTS.md"
TEMPLATE = TOP / "infra" / "template.yaml"
HEADING = "Memory"

SIZES = [128, 256, 512, 1024, 1769]
# Lambda gives a function processor time in proportion to its memory. 1,769 MB are one processor.
WHOLE_PROCESSOR = 1769
# Prices in us-east-1 on arm64: per GB-second, and per invocation.
GB_SECOND, INVOCATION = 0.0000133334, 0.0000002
# Assumed time of a request to DynamoDB, KMS or EventBridge Scheduler in the same Region, and of `SendEmail`, in ms.
WAIT, SEND_EMAIL_WAIT = 5, 50
# The batch size of `mail` and `schedule` in the template.
BATCH = 20
# The bounds that choose a size, in ms.
FIRST_CALL_MAX, BATCH_MAX = 10, 500

# Calls of the API: name in the section "Outside the store", name in "Requests and capacity", requests to KMS.
CALLS = [
    ("create", "create", 0),
    ("organization-edit", "organization-edit", 0),
    ("invite of 1", "invite of 1", 0),
    ("invite of 50", "invite of 50", 0),
    ("resend", "resend", 0),
    ("preview", "preview", 1),
    ("accept", "accept, as member", 1),
    ("decline", "decline", 1),
    ("revoke", "revoke", 0),
    ("role-edit", "role-edit", 0),
    ("remove", "remove, member", 0),
    ("list of 50 members", "list of 50 members", 0),
    ("list of all 1,000 members", "list of all 1,000 members", 0),
]
# Events of the other functions: function, name in "Requests and capacity", requests to KMS.
EVENTS = [
    ("mail", "mail, one mail", 1),
    ("schedule", "schedule, one invitation", 0),
    ("feedback", "feedback, one delivery event", 0),
    ("expire", "expire", 0),
    ("reconcile", "reconcile, nothing overdue", 0),
]
WORKERS = [function for function, _, _ in EVENTS]
# Invocations for one invitation that is mailed, previewed and accepted. `schedule` also gets the changes of the delivery
# to `sent` and to `delivered`, for which it sends no request.
INVITATION = ["invite of 1", "preview", "accept", "mail", "schedule", "schedule", "no request", "no request", "feedback"]


def sections(page):
    """Returns the text of each section by its heading."""
    parts = page.split("\n## ")[1:]
    return {heading: body for heading, _, body in (part.partition("\n") for part in parts)}


def rows(text):
    """Returns the rows of all tables in a text by their first cell. The first of equal names counts."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            name, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
            found.setdefault(name, cells)
    return found


def count(requests):
    """Returns the number of requests in a text such as `GetItem, 2 TransactWriteItems`."""
    names = [name.split() for name in requests.split(", ") if name]
    return sum(int(name[0]) if name[0].isdigit() else 1 for name in names)


class Call:
    """A call or event: its CPU time and its time of waiting for AWS, in ms."""

    def __init__(self, cpu, requests, mails=0):
        self.cpu, self.requests = cpu, requests
        self.wait = (requests - mails) * WAIT + mails * SEND_EMAIL_WAIT

    def latency(self, size):
        return self.wait + computing(self.cpu, size)

    def gb_seconds(self, size):
        # Lambda rounds up to whole milliseconds.
        return math.ceil(self.latency(size)) / 1000 * size / 1024


def computing(cpu, size):
    """Returns the time that this CPU time takes with a memory size."""
    return cpu / min(1, size / WHOLE_PROCESSOR)


def read(page):
    """Returns the calls by name, and the CPU times of init and of first invocations by function."""
    parts = sections(page)
    measured, costs = rows(parts["Outside the store"]), rows(parts["Requests and capacity"])
    starts = rows(parts["Cold start, memory, size"])
    calls = {}
    for name, cost, kms in CALLS:
        # Column 4 after the name: "live: CPU, p50".
        calls[name] = Call(float(measured[name][4]), count(costs[cost][0]) + kms)
    per_request = calls["create"].cpu
    for name, cost, kms in EVENTS:
        others = costs[cost][6]
        requests = count(costs[cost][0]) + count(others) + kms
        calls[name] = Call(per_request * requests, requests, int("SendEmail" in others))
    calls["no request"] = Call(per_request, 0)
    # The first table of the section has five columns after the name. Names with spaces are those of the peers.
    starts = {name: cells for name, cells in starts.items() if len(cells) == 5 and " " not in name and cells[0][0].isdigit()}
    init = {name: float(cells[0]) for name, cells in starts.items()}
    first = {name: float(cells[2]) for name, cells in starts.items() if cells[2]}
    return calls, init, first


def smallest(milliseconds, limit):
    """Returns the smallest size with which this CPU time takes at most `limit` ms."""
    return next(size for size in SIZES if computing(milliseconds, size) <= limit)


def sizes(calls, init, first):
    """Returns the sizes of the functions behind the API and of the others, each with the CPU time that decides."""
    api = max(init[name] + first[name] for name in first)
    batch = max(init[name] + BATCH * calls[name].cpu for name in ["mail", "schedule"])
    return (smallest(api, FIRST_CALL_MAX), api), (smallest(batch, BATCH_MAX), batch)


def gb_seconds(calls, api, worker):
    """Returns the GB-seconds of 1,000 invitations."""
    size = {name: worker for name in [*WORKERS, "no request"]}
    return 1000 * sum(calls[name].gb_seconds(size.get(name, api)) for name in INVITATION)


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "| " + " | ".join("---" for _ in head) + " |"
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def section(calls, init, first):
    """Returns the section as Markdown, without its heading."""
    (api, api_cpu), (worker, batch_cpu) = sizes(calls, init, first)
    columns = [f"{size:,} MB" for size in SIZES]
    lines = [
        "Computed by `python3 tests/bench/memory.py`, not measured. The input is *live: CPU, p50* of *Outside the store*, *init, CPU* and"
        " *first invocation, CPU* of *Cold start, memory, size*, and the requests of *Requests and capacity*. No section measures the CPU time"
        " of warm `mail`, `schedule`, `feedback`, `expire` and `reconcile`, so each of their requests counts like a whole `create`"
        f" ({calls['create'].cpu} ms, one request).",
        "",
        f"The model: computing takes the CPU time divided by the share of a processor, which is the memory divided by {WHOLE_PROCESSOR:,} MB"
        f" (Lambda's documentation). A request waits {WAIT} ms, `SendEmail` {SEND_EMAIL_WAIT} ms (both assumed). The processor of the"
        " benchmark stands for that of Lambda. Not included: TLS handshakes, the network in front of the function, and Lambda's own part of a"
        " cold start. Lambda may let a short call exceed its share for some milliseconds, and may give init a whole processor. Small sizes are"
        " then faster than computed here.",
        "",
        "Each cell: duration of a warm call in ms, and USD per million calls"
        f" ({GB_SECOND:.10f} per GB-s, {INVOCATION * 1e6:.2f} per million invocations).",
        "",
    ]
    cells = lambda call: [
        f"{call.latency(size):.1f}, {1e6 * (call.gb_seconds(size) * GB_SECOND + INVOCATION):.2f}" for size in SIZES
    ]
    shown = [(name, call) for name, call in calls.items() if name != "no request"]
    lines += table(
        ["call or event", "CPU, ms", "requests", *columns],
        [[name, f"{call.cpu:.2f}", str(call.requests), *cells(call)] for name, call in shown],
    )
    lines += [f"Computing time of a new process, in ms: init and the first call, or init and a batch of {BATCH} records.", ""]
    news = [(f"`{name}`, first call", init[name] + first[name]) for name in sorted(first)]
    news += [(f"`{name}`, first batch", init[name] + BATCH * calls[name].cpu) for name in ["mail", "schedule"]]
    lines += table(
        ["new process", "CPU, ms", *columns],
        [[name, f"{cpu:.2f}", *(f"{computing(cpu, size):.1f}" for size in SIZES)] for name, cpu in news],
    )
    lines += ["All functions of a group have the smallest size with which the slowest of them meets the bound:", ""]
    lines += table(
        ["functions", "bound", "memory", "slowest"],
        [
            [
                "behind the API",
                f"a first call computes at most {FIRST_CALL_MAX} ms, because a person waits",
                f"{api:,} MB",
                f"{computing(api_cpu, api):.1f} ms",
            ],
            [
                "for the stream and events",
                f"a first batch of {BATCH} computes at most {BATCH_MAX} ms, because no person waits",
                f"{worker:,} MB",
                f"{computing(batch_cpu, worker):.1f} ms",
            ],
        ],
    )
    cost = lambda used: len(INVITATION) * 1000 * INVOCATION + used * GB_SECOND
    chosen, before = gb_seconds(calls, api, worker), gb_seconds(calls, 256, 256)
    lines += [
        f"1,000 invitations that are mailed, previewed and accepted take {len(INVITATION) * 1000:,} invocations and {chosen:.0f} GB-s:"
        f" {cost(chosen):.4f} USD. With 256 MB for all functions they take {before:.0f} GB-s: {cost(before):.4f} USD."
    ]
    return "\n".join(lines)


def with_section(page, text):
    """Returns the page with this section, at its end if there is none."""
    heading = f"\n## {HEADING}\n"
    before, found, rest = page.partition(heading)
    after = "\n## " + rest.split("\n## ", 1)[1] if "\n## " in rest else ""
    return (before if found else page) + heading + "\n" + text + "\n" + after


def template_sizes():
    """Returns the memory sizes in the template: the default, and those of single functions by name."""
    default, own, function = None, {}, None
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        if resource := re.fullmatch(r"  (\w+):", line):
            function = resource[1]
        elif memory := re.fullmatch(r" +MemorySize: (\d+)", line):
            if function == "Function":
                default = int(memory[1])
            else:
                own[function.removesuffix("Function").lower()] = int(memory[1])
    return default, own


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    measured = read(page)
    (api, _), (worker, _) = sizes(*measured)
    computed = with_section(page, section(*measured))
    if not arguments.check:
        PAGE.write_text(computed, encoding="utf-8")
        return
    if page != computed:
        sys.exit("tests/bench/RESULTS.md: the section Memory is outdated. Run: python3 tests/bench/memory.py")
    expected = api, dict.fromkeys(WORKERS, worker)
    if template_sizes() != expected:
        sys.exit(f"infra/template.yaml has the memory sizes {template_sizes()}, computed are {expected}")
    print(f"the functions have {api} MB, and those for the stream and events {worker} MB, as computed")


if __name__ == "__main__":
    main()
