#!/usr/bin/python3
"""Runs a program under what a unit takes from it, where systemd does not run:
like-the-unit.py UNIT PROGRAM ARGUMENT...
Knows SystemCallFilter, RestrictAddressFamilies, CapabilityBoundingSet and NoNewPrivileges."""
import errno
import os
import socket
import subprocess
import sys

import seccomp


def words(unit, key):
    """All words of a setting that may be given several times."""
    found = []
    for line in open(unit, encoding="utf-8"):
        name, _, value = line.strip().partition("=")
        if name == key:
            found += value.split()
    return found


def calls(name):
    """System calls of a set, or the one of that name."""
    if not name.startswith("@"):
        return {name}
    found = set()
    text = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    for line in text.stdout.splitlines()[1:]:
        line = line.strip()
        if line and not line.startswith("#"):
            found |= calls(line)
    return found


def main():
    unit, program = sys.argv[1], sys.argv[2:]
    families = {getattr(socket, name) for name in words(unit, "RestrictAddressFamilies")}
    rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    # systemd adds what starting a program takes.
    for name in set().union(*map(calls, words(unit, "SystemCallFilter")), {"execve"}):
        try:
            if name == "socket":
                for family in families:
                    rules.add_rule(seccomp.ALLOW, name, seccomp.Arg(0, seccomp.EQ, family))
            else:
                rules.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, ValueError):
            pass  # of another architecture
    bounding = ",".join("+" + name.lower().removeprefix("cap_") for name in words(unit, "CapabilityBoundingSet"))
    # Filters last: setpriv(1) itself needs more.
    if os.environ.get("LIKE_THE_UNIT") is None:
        os.environ["LIKE_THE_UNIT"] = "1"
        os.execvp("setpriv", ["setpriv", "--bounding-set", "-all," + bounding, "--no-new-privs", "--",
                              sys.executable, *sys.argv])
    del os.environ["LIKE_THE_UNIT"]
    rules.load()
    os.execvp(program[0], program)


main()
