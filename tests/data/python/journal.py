"""A journal of systemd's own, alone, in a file system tree that nobody else sees (`unshare --mount`): runs mingled under it as systemd would, and
prints what the journal has of it, a line of JSON an entry. `journal.py MINGLED FOLDER WORD`: until an entry has that word."""
import os, socket, subprocess, sys, time

mingled, folder, word = sys.argv[1:]


def found(*match):
    asked = ["journalctl", "--directory=/run/log/journal", "--output=json", "--no-pager", "--quiet", *match]
    return subprocess.run(asked, capture_output=True, text=True).stdout


def until(what, look):
    end = time.monotonic() + 30
    while not look():
        if time.monotonic() > end:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.02)


subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
os.makedirs("/run/systemd/journal")
os.makedirs("/run/log/journal")
journal = subprocess.Popen(["/lib/systemd/systemd-journald"], stderr=subprocess.DEVNULL)
try:
    until("the journal", lambda: os.path.exists("/run/systemd/journal/stdout") and os.path.exists("/run/systemd/journal/socket"))
    # What systemd makes of a service's standard error.
    stream = socket.socket(socket.AF_UNIX)
    stream.connect("/run/systemd/journal/stdout")
    stream.sendall(b"mingled\nmingled.service\n6\n0\n0\n0\n0\n")
    where = os.fstat(stream.fileno())
    env = dict(os.environ, JOURNAL_STREAM=f"{where.st_dev}:{where.st_ino}")
    daemon = subprocess.Popen([mingled], env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    try:
        until(word, lambda: word in found("SYSLOG_IDENTIFIER=mingled"))
    finally:
        daemon.terminate()
        daemon.wait()
    print(found("SYSLOG_IDENTIFIER=mingled"), end="")
finally:
    journal.terminate()
    journal.wait()
