"""A cluster of this machine serves the run that started it, and nobody else."""

import os
import subprocess
import sys

import pytest

from dlif_core.compute.cluster import open_client

#: What another user of the machine would try: connect without credentials and with some of his own, and have a worker
#: say as whom it runs. The identity is given up after the imports, because Python itself may lie in a private folder.
INTRUDER = """
import os, sys
import distributed
with distributed.Client(processes=False, dashboard_address=None) as own:  # loads what is loaded late
    own.submit(os.getuid).result()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
own = distributed.Security.temporary()
for target, security in ((f"tcp://{sys.argv[1]}", None), (f"tls://{sys.argv[1]}", own)):
    try:
        with distributed.Client(target, security=security, timeout="5s") as client:
            print("ran as", client.submit(os.getuid).result(timeout=20), "for", os.getuid())
    except (OSError, TypeError, RuntimeError) as fault:
        print("refused", type(fault).__name__, fault)
"""


@pytest.mark.service
def test_another_user_of_the_machine_cannot_have_code_run() -> None:
    with open_client("local", workers=1) as client:
        port = client.scheduler.address.rpartition(":")[2]
        done = subprocess.run(
            [sys.executable, "-c", INTRUDER, f"127.0.0.1:{port}"],
            cwd="/",
            env=os.environ,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["refused", "refused"], done.stdout
