#!/usr/bin/env python3
"""Prints man/wherry.yaml.5, whose keys are the tables of docs/configuration.md.

scripts/lint.sh compares; after a change of the tables:
  scripts/configuration-man.py >man/wherry.yaml.5
"""
import pathlib
import re

HEAD = r""".\" Made by scripts/configuration-man.py from docs/configuration.md.
.Dd November 26, 2026
.Dt WHERRY.YAML 5
.Os
.Sh NAME
.Nm wherry.yaml
.Nd configuration of wherryd
.Sh SYNOPSIS
.Pa /etc/wherry/wherry.yaml
.Pp
.Pa /etc/wherry/wherry.d/*.yaml
.Sh DESCRIPTION
.Xr wherryd 8
reads
.Pa wherry.yaml ,
then the files of
.Pa wherry.d
beside it in byte order of their names, then the values of
.Fl -set .
A later source sets only the keys it names: maps are merged entry by entry, lists and single values are
replaced whole.
Every key is optional.
.Pp
Nothing is ignored: an unknown key, a key set twice, a value of the wrong form and a drop-in that ends in
.Pa .yml
are errors.
All of them are told, each with file, line and what to write instead, and the agent does not start.
.Dl wherryd --check-config
does only this.
.Pp
A key that says
.Sq reload
takes effect on
.Dv SIGHUP ,
one that says
.Sq start
when the agent is next started.
.Pp
Durations are written as
.Ql 250ms ,
.Ql 30s ,
.Ql 5m ,
.Ql 12h ,
.Ql 7d
or a sum such as
.Ql 1h30m ;
sizes in bytes or as
.Ql 64Ki ,
.Ql 10Mi ,
.Ql 2Gi ;
paths are absolute.
.Sh KEYS
"""

TAIL = r""".Sh FILES
.Bl -tag -width Ds
.It Pa /etc/wherry/wherry.yaml
The configuration; in the sample every key stands with its default, commented out.
.It Pa /etc/wherry/wherry.d/*.yaml
What is read over it.
.El
.Sh EXAMPLES
A device of the group
.Ql pumps
that talks to a broker with a certificate of its own:
.Bd -literal -offset indent
device: { id: pump-7, groups: [pumps] }
mqtt:
  brokers: [mqtts://broker.example.org]
  ca_file: /etc/wherry/ca.pem
  cert_file: /etc/wherry/pump-7.pem
  key_file: /etc/wherry/pump-7.key
.Ed
.Sh SEE ALSO
.Xr wherry 1 ,
.Xr wherryd 8
"""


def plain(cell: str) -> str:
    """Markdown of a cell as text: no backquotes, of a link the page's name."""
    cell = re.sub(r"\[[^\]]+\]\(([^)]+)\)", r"\1", cell)
    cell = re.sub(r"``?([^`]*)`", r"\1", cell).replace(", see below.", ".")
    return cell.replace("\\", r"\e")


def main() -> None:
    section = re.compile(r"^### (\S+)$")
    row = re.compile(r"^\| `([a-z_.]+)` \| ([^|]+) \| `([^`]*)` \| ([^|]+) \| ([^|]+) \|$")
    lines = [HEAD.rstrip("\n")]
    opened = False
    page = pathlib.Path(__file__).parent.parent / "docs" / "configuration.md"
    for line in page.read_text(encoding="utf-8").splitlines():
        if named := section.match(line):
            title = named.group(1)
        if not (key := row.match(line)):
            continue
        path, form, default, applies, meaning = (plain(cell) for cell in key.groups())
        if title:
            lines += [".El"] * opened + [f".Ss {title}", ".Bl -tag -width Ds"]
            title, opened = "", True
        # A new sentence begins a line, as roff wants it.
        lines += [f".It Va {path}", f"{form}; default {default}; {applies}.", ".Pp"]
        lines += re.sub(r"([a-z0-9)\]}][.?])\s+(?=[A-Z])", r"\1\n", meaning).splitlines()
    print("\n".join(lines + [".El"]))
    print(TAIL, end="")


main()
