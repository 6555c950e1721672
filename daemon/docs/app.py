#!/usr/bin/env python3
"""An app of mingle, standard library only: `app.py tasks` watches, `app.py tasks Buy bread` adds a record."""
import json, os, socket, subprocess, sys

class Mingled:
    def __init__(self, app):
        path = os.environ.get("MINGLE_SOCKET") or subprocess.check_output(["mingle", "socket-path"], text=True).strip()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines, self.calls = self.socket.makefile("rw", encoding="utf-8", newline="\n"), 0
        self.call("hello", app=app, protocol=1)             # a name is needed to write

    def call(self, method, **params):
        self.calls += 1
        self.lines.write(json.dumps({"id": self.calls, "method": method, "params": params}) + "\n")
        self.lines.flush()
        while (answer := self.hear()).get("id") != self.calls:
            pass                                            # a notification of a subscription
        if "error" in answer:
            sys.exit(f"{answer['error']['message']} ({answer['error']['data']['name']})")
        return answer["result"]

    def hear(self):
        return json.loads(self.lines.readline() or sys.exit("mingled closed the connection"))

mingled, collection, title = Mingled("app.py"), sys.argv[1], " ".join(sys.argv[2:])
if title:
    written = mingled.call("put", collection=collection, data={"title": title, "state": "open"})
    print(f"written as {written['id']}", flush=True)        # it is on the disk now, whatever happens next
    print("at the remote:", mingled.call("wait", token=written["token"], timeout_ms=60000)["state"], flush=True)
else:
    mingled.call("subscribe", collections=[collection], data=True)
    records = {}                                            # state first, then every change, in one stream
    while True:
        heard = mingled.hear()
        if heard.get("method") == "changed":
            for change in heard["params"]["changes"]:
                records[change["id"]] = change.get("data")  # none: it is deleted
                print(change["kind"], change["id"], json.dumps(change.get("data")), flush=True)
