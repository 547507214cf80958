#!/usr/bin/env python3
"""Checks the expected output of the cases made of real programs' logs by reading the logs once more, without Heka.

Usage: tests/real_logs.py. Every message of every case below is compared, field by field, with what this file makes
of the log. It shares no code with the decoders.
"""
import csv
import datetime
import json
import pathlib
import re
import sys

CASES = pathlib.Path(__file__).parent / "cases"
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
LEVELS = {"emerg": 0, "alert": 1, "crit": 2, "error": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7}
FACILITIES = ("kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit alert clock "
              "local0 local1 local2 local3 local4 local5 local6 local7").split()


def lines(case):
    return (CASES / case / "in").read_bytes().decode("utf8", "replace").split("\n")[:-1]


def stamp(when, decimals=""):
    return when.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + "." + decimals.ljust(9, "0") + "Z"


def clf(text):
    return stamp(datetime.datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z"))


def request(text):
    match = re.fullmatch(r"([A-Z]+) (.+) (HTTP/[0-9.]+)", text)
    return dict(zip(("method", "path", "protocol"), match.groups())) if match else {}




def access(case, bytes_name):
    for line in lines(case):
        host, _, user, time, req, status, size, referer, agent = re.fullmatch(
            r'(\S+) (\S+) (.+?) \[(.+?)\] "((?:[^"\\]|\\.)*)" (\d+) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"', line
        ).groups()
        fields = {"remote_addr": host, "remote_user": user, "time_local": time, "request": req, "status": int(status),
                  bytes_name: size, "http_referer": referer, "http_user_agent": agent}
        fields = {key: value for key, value in fields.items() if value not in ("-", "")}
        if bytes_name in fields:
            fields[bytes_name] = int(fields[bytes_name])
        yield {"timestamp": clf(time), "fields": fields | request(req)}


def grok_access(case):
    for line in lines(case):
        head, time, rest = re.fullmatch(r"(.*?) \[(.*?)\] (.*)", line).groups()
        host, ident, auth = head.split(" ")
        req, status, size, referer, agent = re.fullmatch(
            r'"((?:[^"\\]|\\.)*)" (\d+) (\d+|-) ("(?:[^"\\]|\\.)*") ("(?:[^"\\]|\\.)*")', rest).groups()
        fields = {"clientip": host, "ident": ident, "auth": auth, "response": int(status), "referrer": referer, "agent": agent}
        if size != "-":
            fields["bytes"] = int(size)
        match = re.fullmatch(r"([A-Za-z0-9_]+) (\S+)(?: HTTP/([0-9.]+))?", req)
        named = {"verb": match[1], "request": match[2], "httpversion": match[3]} if match else {"rawrequest": req}
        fields |= {key: value for key, value in named.items() if value is not None}
        yield {"timestamp": clf(time), "fields": fields}


def grok_error(case):
    for line in lines(case):
        time, micros, year, module, level, process, rest = re.fullmatch(
            r"\[(\w+ \w+ \d+ [\d:]+)\.(\d+) (\d+)\] \[(\w*):(\w+)\] \[pid ([\d:tid ]+)\] (.*)", line).groups()
        pid, tid = re.fullmatch(r"(\d+):tid (\d+)", process).groups()
        fields = {"module": module, "tid": tid}
        if match := re.fullmatch(r"\((\d+)\)(.*?): (\[client .*|AH\d+: .*)", rest):
            fields |= {"proxy_errorcode": match[1], "proxy_message": match[2]}
            rest = match[3]
        if match := re.fullmatch(r"\[client ([0-9a-f.:]+):(\d+)\] (.*)", rest):
            fields |= {"clientip": match[1], "clientport": match[2]}
            rest = match[3]
        if match := re.fullmatch(r"(AH\d+): (.*)", rest):
            fields["errorcode"] = match[1]
            rest = match[2]
        fields["message"] = rest
        when = datetime.datetime.strptime(f"{time} {year} +0000", "%a %b %d %H:%M:%S %Y %z")
        yield {"timestamp": stamp(when, micros), "severity": LEVELS[level], "pid": int(pid), "fields": fields}


def nginx_error(case):
    for line in lines(case):
        time, level, pid, tid, connection, text = re.fullmatch(
            r"(\S+ \S+) \[(\w+)\] (\d+)#(\d+): (?:\*(\d+) )?(.*)", line).groups()
        fields = {"thread_id": int(tid)}
        if connection:
            fields["connection"] = int(connection)
        match = re.fullmatch(
            r'(.*?), client: ([^,]+), server: ([^,]+?)(?:, request: "(.*?)")?(?:, subrequest: "(.*?)")?'
            r'(?:, upstream: "(.*?)")?(?:, host: "(.*?)")?(?:, referrer: "(.*?)")?', text)
        if match:
            text = match[1]
            names = ("client", "server", "request", "subrequest", "upstream", "host", "referrer")
            fields |= {name: value for name, value in zip(names, match.groups()[1:]) if value is not None}
            fields |= request(fields.get("request", ""))
        if number := re.findall(r" \((\d+): ", text):
            fields["errno"] = int(number[-1])
        when = datetime.datetime.strptime(time + " +0000", "%Y/%m/%d %H:%M:%S %z")
        yield {"timestamp": stamp(when), "severity": LEVELS[level], "pid": int(pid), "payload": text, "fields": fields}


def mysql(case):
    text = "\n".join(lines(case)) + "\n"
    for entry in re.split(r"^(?=# User@Host: )", text, flags=re.M)[1:]:
        rows = entry.split("\n")
        user, host, ip = re.fullmatch(r"# User@Host: .*\[(.*)\] @ (\S*) \[(.*)\]", rows[0]).groups()
        fields = {key: value for key, value in (("user", user), ("host", host), ("ip", ip)) if value}
        explain, at = [], 1
        while rows[at].startswith("#"):
            row = rows[at]
            at += 1
            if row.startswith("# explain: "):
                explain.append(row if explain else row[len("# explain: "):])
                continue
            for key, value in re.findall(r"(\w+):[ ]+(\S*?)(?=\s|$)(?!:)", re.sub(r"Schema:   ", "Schema: - ", row)):
                name = {"schema": "database"}.get(key.lower(), key.lower())
                value = {"Yes": True, "No": False}.get(value, value)
                if value == "-":
                    continue
                if isinstance(value, str) and re.fullmatch(r"[0-9]+", value):
                    value = int(value)
                elif isinstance(value, str) and re.fullmatch(r"[0-9.]+", value):
                    value = float(value)
                fields[name] = value
        if match := re.fullmatch(r"use `?(.*?)`?;", rows[at]):
            fields["database"] = match[1]
            at += 1
        seconds = int(re.fullmatch(r"SET timestamp=(\d+);", rows[at])[1])
        if explain:
            fields["explain"] = "\n".join(explain).rstrip()
        statement = "\n".join(rows[at + 1:]).rstrip()
        statement = re.sub(r"\n# Time: .*$", "", statement)
        statement = re.sub(r"^# (?=administrator command)", "", statement)
        when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
        yield {"timestamp": stamp(when), "payload": statement.removesuffix(";").rstrip(), "fields": fields}


def rfc5424(case):
    for line in lines(case):
        pri, time, micros, host, app, proc, msg_id, rest = re.fullmatch(
            r"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?\+00:00 (\S+) (\S+) (\S+) (\S+) (.*)", line).groups()
        fields = {"facility": FACILITIES[int(pri) // 8]}
        fields |= {key: value for key, value in (("app_name", app), ("proc_id", proc), ("msg_id", msg_id)) if value != "-"}
        if rest.startswith("-"):
            payload = rest[2:]
        else:
            elements = re.match(r'(?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])+', rest)[0]
            for element in re.findall(r'\[((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]', elements):
                for key, value in re.findall(r' (\w+)="((?:[^"\\]|\\.)*)"', element):
                    fields[element.split(" ")[0] + "." + key] = re.sub(r'\\(["\\\]])', r"\1", value)
            payload = rest[len(elements) + 1:]
        when = datetime.datetime.strptime(time + " +0000", "%Y-%m-%dT%H:%M:%S %z")
        message = {"timestamp": stamp(when, micros or ""), "severity": int(pri) % 8, "hostname": host, "payload": payload, "fields": fields}
        yield message | ({"pid": int(proc)} if proc.isdigit() else {})


def short_syslog(case, has_priority):
    for line in lines(case):
        pri, month, day, time, host, rest = re.fullmatch(
            r"(?:<(\d+)>)?(\w+) +(\d+) ([\d:]+) (\S+) (.*)", line).groups()
        match = re.fullmatch(r"([\w./-]+)(?:\[(\d+)\])?:? (.*)", rest)
        severity, facility = (int(pri) % 8, FACILITIES[int(pri) // 8]) if has_priority else (7, "-")
        yield f"{MONTHS.index(month) + 1:02}-{int(day):02} {time} {severity} {host}", rest


def table(case):
    rows = list(csv.reader((CASES / case / "in").open(encoding="utf8")))
    for row in rows:
        if row == rows[0]:
            continue
        when = datetime.datetime.strptime(row[0] + " +0000", "%Y-%m-%d %H:%M:%S.%f %z")
        fields = {"host": row[1], "status": int(row[2]), "note": row[4]}
        if row[3]:
            fields["took"] = float(row[3])
        fields = {key: value for key, value in fields.items() if value != ""}
        yield {"timestamp": stamp(when, row[0].split(".")[1]), "fields": fields}


def pairs(case):
    for line in lines(case):
        fields = {}
        for word in line.split("] ")[1].split():
            key, separator, value = word.partition("=")
            fields[key] = True if not separator else int(value) if re.fullmatch(r"-?\d+", value) else value
        yield {"payload": line, "fields": fields}


def as_object(text):
    """A field that comes twice is a list."""
    def merge(entries):
        made = {}
        for key, value in entries:
            made[key] = [made[key], value] if key in made else value
        return made
    return json.loads(text, object_pairs_hook=merge)


def check(case, expected):
    expected = list(expected)
    found = [as_object(line) for line in (CASES / case / "expected").read_text(encoding="utf8").split("\n")[:-1]]
    if len(found) != len(expected):
        sys.exit(f"{case}: {len(found)} messages, {len(expected)} expected")
    for number, (message, wanted) in enumerate(zip(found, expected), 1):
        for key, value in wanted.items():
            if message.get(key) != value:
                sys.exit(f"{case}:{number}: {key}:\n  {message.get(key)}\nbut this file reads\n  {value}")
    print(f"{case}: {len(found)} messages, each as this file reads it")


def check_short(case, expected):
    found = (CASES / case / "expected").read_text(encoding="utf8").splitlines()
    expected = list(expected)
    if len(found) != len(expected):
        sys.exit(f"{case}: {len(found)} messages, {len(expected)} expected")
    for number, (line, (head, rest)) in enumerate(zip(found, expected), 1):
        # Behind the head: pid, facility, program, text.
        text = line.removeprefix(head + " ").split(" ", 3)[3] if line.startswith(head + " ") else None
        if text is None or not rest.endswith(text):
            sys.exit(f"{case}:{number}: {line}\nbut this file reads\n  {head} … {rest}")
    print(f"{case}: {len(found)} messages, each as this file reads it")


check("nginx_access", access("nginx_access", "body_bytes_sent"))
check("apache_access", access("apache_access", "bytes_sent"))
check("grok_apache_access", grok_access("grok_apache_access"))
check("grok_apache_error", grok_error("grok_apache_error"))
check("nginx_error", nginx_error("nginx_error"))
check("mysql_slow", mysql("mysql_slow"))
check("rsyslog_rfc5424", rfc5424("rsyslog_rfc5424"))
check_short("rsyslog_rfc3164", short_syslog("rsyslog_rfc3164", True))
check_short("rsyslog_traditional", short_syslog("rsyslog_traditional", False))
check("csv", table("csv"))
check("kv", pairs("kv"))
