"""mingle for Python: what an app needs to talk with mingled. One file, the standard library alone, Python 3.8 or newer.

    import mingle
    tasks = mingle.Client("tracker")                       # the app's name: grants go by it
    written = tasks.put("tasks", {"title": "Buy bread"})
    print(tasks.wait(written["token"], timeout=60)["state"])
    for update in tasks.subscribe(["tasks"], data=True):   # state first, then every change
        print(update)

Each method of the socket (proto/PROTOCOL.md) is a function of `Client` under its own name, `sync.run` as `sync_run`; parameters
and answers are those of that page. A call that is refused raises the exception named after the error. Where the daemon goes away,
a call waits `patience` seconds for it and is repeated: a write carries an operation id, so it is done once at most.

Owns: one conversation, going on over lost connections. Must never know: tables, and what the daemon does with a call.
"""
from __future__ import annotations

import contextlib
import decimal
import errno
import json
import math
import os
import select
import shutil
import socket
import stat
import struct
import sys
import threading
import time

PROTOCOL = 1
_LINE_BYTES_MAX = 16 << 20
_SOCKET_PATH_BYTES_MAX = 100
_HELLO_WITHIN = 10.0
_LOOK_AGAIN = 0.05
_WAIT_SLICE = 30.0
_WRITES = frozenset({"put", "patch", "delete", "transact", "conflict.resolve", "rejection.resolve",
                     "pending.rollback", "forget", "undo"})


class MingleError(Exception):
    """Whatever goes wrong. `message` and `hint` are for people."""

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self):
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message


class ConnectError(MingleError):
    """There is no connection."""


class NoPlace(ConnectError):
    """The environment gives no place for a socket."""


class NotInstalled(ConnectError):
    """Nobody listens, and there is no mingled on this machine."""


class NotRunning(ConnectError):
    """Nobody listens, and there is a mingled to start."""


class NoPermission(ConnectError):
    """The socket, or its directory, is somebody else's or open to others."""


class Lost(MingleError):
    """The connection ended before the answer. `op`: of a write that may have happened; repeat it with this `op`."""

    def __init__(self, message, hint="", op=None):
        super().__init__(message, hint)
        self.op = op


class Late(Lost):
    """No answer in time. The call may still happen."""


class Garbled(MingleError):
    """What came cannot be read: the other end speaks another protocol."""


class Refused(MingleError):
    """The daemon said no. A class for each name follows; a name that this file does not know is this class itself.

    `name`: stable. `retryable`: the very same call may succeed later, not before `retry_after` seconds (None: any time).
    `seq`: the present one (`Stale`). `op`: of a write. `about`: the one word that it is about."""

    def __init__(self, error):
        data = error.get("data") or {}
        super().__init__(error.get("message") or "refused", data.get("hint") or "")
        self.name, self.retryable = data.get("name", "unknown"), bool(data.get("retryable"))
        self.seq, self.op, self.about = data.get("seq"), data.get("op"), data.get("about")
        after = data.get("retry_after_ms")
        self.retry_after = None if after is None else after / 1000


class Stopped(Refused):
    """Runs are stopped, and this call would begin one."""


class NotFound(Refused):
    """No such collection, record, sync, remote, conflict or rejection."""


class Denied(Refused):
    """The app's grants do not go so far, or a write came without a name."""


class Stale(Refused):
    """What the caller knew is no longer so. `seq` is the present one; another store than before has none."""


class OpReused(Refused):
    """Other content under an `op` that was used before."""


class Invalid(Refused):
    """Parameters that cannot be meant."""


class TooLarge(Refused):
    """A line or a record over a limit."""


class Busy(Refused):
    """No room at the moment: ask again."""


class Deadline(Refused):
    """It took longer than it may."""


class Cancelled(Refused):
    """The call was ended before it was done."""


class OutcomeUnknown(Refused):
    """Whether it happened is not known: repeat it with the same `op`."""


class NeedsLogin(Refused):
    """The remote does not take the credentials."""


class WrongState(Refused):
    """The session is in another state than this call needs."""


class Guarded(Refused):
    """More records would be deleted than may be without a word."""


class Unsupported(Refused):
    """This daemon, or this remote, does not do it."""


class Version(Refused):
    """The two ends speak different majors."""


class ReadOnly(Refused):
    """The store may not be written."""


class DiskFull(Refused):
    """The disk is full."""


class Internal(Refused):
    """A fault of the daemon."""


class Parse(Refused):
    """Not JSON."""


class Request(Refused):
    """JSON, but no request."""


class Method(Refused):
    """No such method."""


_REFUSALS = {"".join("_" + c.lower() if c.isupper() else c for c in kind.__name__)[1:]: kind for kind in Refused.__subclasses__()}


def _refused(error):
    name = (error.get("data") or {}).get("name")
    return _REFUSALS.get(name, Refused)(error)


def _refusal(name, message, hint=""):
    return _refused({"message": message, "data": {"name": name, "hint": hint}})


def socket_path(environ=None):
    """Where the socket lies, by the rule of both ends. An empty variable counts as unset, a relative XDG directory too."""
    told = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    absolute = {name: value for name, value in told.items() if os.path.isabs(value)}
    if "MINGLE_SOCKET" in told:
        path = told["MINGLE_SOCKET"]
        if not os.path.isabs(path):
            raise NoPlace(f"the socket needs an absolute path, and MINGLE_SOCKET is {path}",
                          "give MINGLE_SOCKET a path that begins with /")
    elif "XDG_RUNTIME_DIR" in absolute:
        path = os.path.join(absolute["XDG_RUNTIME_DIR"], "mingle", "mingle.sock")
    elif "XDG_STATE_HOME" in absolute or "HOME" in absolute:
        state = absolute.get("XDG_STATE_HOME") or os.path.join(absolute["HOME"], ".local/state")
        path = os.path.join(state, "mingle", "run", "mingle.sock")
    else:
        raise NoPlace("no place for the socket: MINGLE_SOCKET, XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME are all unset",
                      "set HOME, or MINGLE_SOCKET to the path of the socket")
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES_MAX:
        raise NoPlace(f"the path of the socket is longer than {_SOCKET_PATH_BYTES_MAX} bytes: {path}",
                      "set MINGLE_SOCKET to a shorter path, in a directory of its own with mode 0700")
    return path


def _check_directory(path, us):
    """The directory must be ours alone: who can write there can put another socket in its place."""
    directory = os.path.dirname(path.rstrip("/")) or "/"
    try:
        about = os.lstat(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        raise NoPermission(f"no permission for {directory}: {error.strerror}", f"look at it with `ls -ld {directory}`") from None
    if not stat.S_ISDIR(about.st_mode):
        what, remedy = "it is no directory", f"remove it with `rm {directory}`, and start mingled again"
    elif about.st_uid != us:
        what = f"it belongs to user {about.st_uid}, and this is user {us}"
        remedy = "run this as the user who runs mingled, or set MINGLE_SOCKET"
    elif about.st_mode & 0o077:
        what, remedy = f"others may enter it (mode {about.st_mode & 0o777:o})", f"close it with `chmod 700 {directory}`"
    else:
        return
    raise NoPermission(f"no permission for {directory}: {what}", remedy)


def _check_peer(connection, path, us):
    """Who listens must be us, or root: of a socket that the system's service manager made, the system says so."""
    what = "the system does not say who listens there"
    try:
        if sys.platform == "darwin":
            _version, uid = struct.unpack_from("2I", connection.getsockopt(0, 1, 76))
        else:
            _pid, uid, _gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid in (us, 0):
            return
        what = f"user {uid} listens there, and this is user {us}"
    except (OSError, AttributeError, struct.error):
        pass
    raise NoPermission(f"no permission for {path}: {what}", "run this as the user who runs mingled, or set MINGLE_SOCKET")


def _absent(path):
    mingled = shutil.which("mingled") or shutil.which("mingled", path=os.path.expanduser("~/.cargo/bin"))
    if mingled:
        return NotRunning(f"mingled is not running (nobody listens at {path})", f"start it with `{mingled}`")
    return NotInstalled("mingled is not installed: it is neither in PATH nor in ~/.cargo/bin",
                        "install it from its sources with `cargo install --path daemon`")


def _number(text):
    """A float where that is what is written, else a Decimal: no digit of a record is lost by reading it."""
    near = float(text)
    return near if math.isfinite(near) and decimal.Decimal(repr(near)) == decimal.Decimal(text) else decimal.Decimal(text)


class _Foreign(TypeError):
    """Not for the encoder of the standard library."""


def _foreign(value):
    raise _Foreign(f"a {type(value).__name__} is no JSON")


def _encode(value):
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_foreign)
    except _Foreign:
        if isinstance(value, decimal.Decimal) and value.is_finite():
            return str(value)
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return "{" + ",".join(f"{_encode(key)}:{_encode(one)}" for key, one in value.items()) + "}"
        if isinstance(value, (list, tuple)):
            return "[" + ",".join(map(_encode, value)) + "]"
        raise


def _message(line):
    try:
        try:
            message = json.loads(line, parse_float=_number)
        except ValueError:
            # Python reads no whole number of more than some thousand digits; mingled keeps them all.
            message = json.loads(line, parse_float=_number, parse_int=decimal.Decimal)
    except ValueError as error:
        raise Garbled(f"what mingled sent cannot be read: {error}") from None
    if not isinstance(message, dict):
        raise Garbled("what mingled sent is no message")
    return message


class _Line:
    """One connection: lines out, messages in."""

    def __init__(self, path, until):
        us = os.geteuid()
        _check_directory(path, us)
        self.socket, self.bytes, self.seen, self.last = socket.socket(socket.AF_UNIX), bytearray(), 0, 0
        # What comes unasked while an answer is waited for is kept where this is a list, else passed over.
        self.unasked = None
        try:
            self._connect(path, until)
            _check_peer(self.socket, path, us)
        except BaseException:
            self.close()
            raise

    def _connect(self, path, until):
        while True:
            try:
                self.socket.settimeout(max(_LOOK_AGAIN, until - time.monotonic()))
                return self.socket.connect(path)
            except (FileNotFoundError, ConnectionRefusedError):
                raise _absent(path) from None
            except PermissionError as error:
                raise NoPermission(f"no permission for {path}: {error.strerror}",
                                   f"look at it with `ls -l {path}`; it belongs to the user who runs mingled") from None
            except OSError as error:
                # So many wait to be taken that there is no room for us: it may be busy, or stand still.
                if error.errno == errno.EAGAIN and time.monotonic() > until:
                    raise Late(f"mingled does not take a connection at {path} in time") from None
                if error.errno != errno.EAGAIN:
                    raise ConnectError(f"no connection at {path}: {error}",
                                       "`mingle socket-path` prints where it is looked for") from None
                time.sleep(_LOOK_AGAIN)

    def close(self):
        self.socket.close()

    def is_over(self):
        """Whether the other end is gone already: then nothing more is said here, and no outcome is unknown."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))

    def ask(self, method, params, until):
        """Sends a call and waits for its answer, which is given; or raises."""
        try:
            line = _encode({"jsonrpc": "2.0", "id": self.last + 1, "method": method, "params": params}).encode()
        except (TypeError, ValueError) as error:
            raise _refusal("invalid", f"{method} cannot be written as JSON: {error}") from None
        if len(line) > 1 << 20:
            raise _refusal("too_large", f"a {method} of {len(line)} bytes, and a line may have {1 << 20}",
                           "keep large values outside the record, and their place in it")
        self.last += 1
        try:
            self._patient(until, 0.001)
            self.socket.sendall(line + b"\n")
        except socket.timeout:
            raise Late(f"mingled does not take {method} in time") from None
        except OSError:
            # What was refused may have been said already: a `too_large` comes before the end.
            pass
        while True:
            message = self.hear(until)
            if message is None:
                raise Late(f"no answer from mingled to {method} in time")
            if "method" not in message and message.get("id") in (None, self.last):
                if "error" in message:
                    raise _refused(message["error"])
                return message.get("result")
            if self.unasked is not None and "method" in message:
                self.unasked.append(message)

    def _patient(self, until, least=0.0):
        self.socket.settimeout(None if until is None else max(least, until - time.monotonic()))

    def hear(self, until):
        """The next message; None: not in time. The connection goes on then."""
        while True:
            end = self.bytes.find(b"\n", self.seen)
            if end >= 0:
                line, self.seen = bytes(self.bytes[:end]), 0
                del self.bytes[:end + 1]
                if not line.strip():
                    continue
                return _message(line)
            self.seen = len(self.bytes)
            if self.seen > _LINE_BYTES_MAX:
                raise Garbled(f"what mingled sent is a line of more than {_LINE_BYTES_MAX} bytes")
            try:
                self._patient(until)
                read = self.socket.recv(1 << 16)
            except (socket.timeout, BlockingIOError):
                return None
            except OSError as error:
                raise Lost(f"the connection to mingled ended before the answer: {error.strerror or error}") from None
            if not read:
                raise Lost("the connection to mingled ended before the answer: it was closed")
            self.bytes += read


def _greeted(path, app, end=math.inf):
    """A connection on which `hello` is said, and its answer."""
    until = min(end, time.monotonic() + _HELLO_WITHIN)
    line = _Line(path, until)
    try:
        params = {"protocol": PROTOCOL} if app is None else {"app": app, "protocol": PROTOCOL}
        try:
            hello = line.ask("hello", params, until)
        except (Garbled, Method) as error:
            raise _refusal("version", error.message, "use the mingle.py that came with this mingled") from None
        if hello.get("protocol") != PROTOCOL:
            what = f"this is protocol {PROTOCOL}, mingled ({hello.get('build')}) speaks {hello.get('protocol')}"
            raise _refusal("version", what, "use the mingle.py that came with this mingled")
        return line, hello
    except BaseException:
        line.close()
        raise


def _waits(what, error, until, op=None):
    """Lets a moment pass where there is still time for a daemon that went away; else raises what a person needs to know."""
    left = until - time.monotonic()
    if left > 0:
        return time.sleep(min(_LOOK_AGAIN, left))
    if op is None:
        raise error
    hint = f"when mingled is back, repeat it with op={op!r}, which writes it once at most"
    raise Lost(f"{what}: whether it was written is not known ({error.message})", hint, op) from error


class Client:
    """A connection under the app's name (None: may read and operate, not write); for one call at a time.

    `patience`: how many seconds a call waits for a daemon that went away, before it gives up (0: not at all, math.inf: for ever).
    `timeout`: how many seconds a call may take (None: as long as it takes). Threads take turns: who waits long, takes a client of
    its own. `hello` is what the daemon said of itself; `instance` the store's id: seqs of another store mean nothing in it."""

    def __init__(self, app=None, *, path=None, patience=5.0, timeout=None):
        self.app, self.path = app, socket_path() if path is None else os.fspath(path)
        self.patience, self.timeout = patience, timeout
        self._turn, self._line, self.hello, self._known = threading.RLock(), None, {}, None
        self._connect()
        self._known = self.instance

    def _connect(self, end=math.inf):
        if self._line is not None and self._line.is_over():
            self.close()
        if self._line is None:
            self._line, self.hello = _greeted(self.path, self.app, end)
        return self._line

    @property
    def instance(self):
        return self.hello.get("instance")

    def close(self):
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def call(self, method, params=None, *, timeout=None):
        """Any method, also one that this file has no function for. A write gets an `op` if it has none."""
        params = dict(params or {})
        with self._turn:
            timeout = self.timeout if timeout is None else timeout
            end = math.inf if timeout is None else time.monotonic() + timeout
            op = None
            if method in _WRITES:
                op = params.get("op") or _new_op()
                params["op"] = op
                # A seq belongs to the store that it was read from.
                if params.get("instance") is None and _has_seq(params):
                    params["instance"] = self._known
            return self._repeat(method, params, op, end)

    def _repeat(self, method, params, op, end):
        sent, until = False, None
        while True:
            try:
                line = self._connect(end)
                if op is not None and params.get("instance") is None:
                    params["instance"] = self.instance
                sent = True
                answer = self._once(line, method, params, end)
                self._known = self.instance
                return answer
            except (Late, OutcomeUnknown, Lost, NotRunning, NotInstalled) as error:
                unsure = op if sent else None
                if isinstance(error, Late):
                    raise Late(error.message, error.hint, unsure) from None
                # Ended twice, the next daemon would end too.
                if method == "shutdown" and sent or isinstance(error, OutcomeUnknown) and op is None:
                    raise
                until = min(end, time.monotonic() + self.patience) if until is None else until
                _waits(method, error, until, unsure)
            except Refused:
                # That something is not there is something that was read.
                self._known = self.instance if op is None else self._known
                raise

    def _once(self, line, method, params, end):
        try:
            return line.ask(method, params, None if end == math.inf else end)
        except Refused as error:
            if isinstance(error, (TooLarge, Parse)):
                self.close()
            raise
        except BaseException:
            # Also an interrupt of a person: an answer that is still to come must not meet the next call.
            self.close()
            raise

    def _call(self, method, **params):
        return self.call(method, {key: value for key, value in params.items() if value is not None and value is not False})

    def _read(self, method, max_age, within, **params):
        if max_age is None:
            return self._call(method, **params)
        params = {key: value for key, value in params.items() if value is not None}
        params.update(max_age_ms=int(1000 * max_age), timeout_ms=int(1000 * within))
        return self.call(method, params, timeout=None if self.timeout is None else self.timeout + within)

    def get(self, collection, id, *, max_age=None, timeout=10.0):
        """`max_age`: not older than so many seconds; where it is, its remotes are asked first, for `timeout` seconds at most. Then what is here is
        returned, and `fresh` in it says how old it is and why. Without: what is here, at once."""
        return self._read("get", max_age, timeout, collection=collection, id=id)

    def list(self, collection, where=None, *, order=None, limit=None, cursor=None, max_age=None, timeout=10.0):
        """`max_age`, `timeout`: as of `get`."""
        return self._read("list", max_age, timeout, collection=collection, where=where, order=order, limit=limit, cursor=cursor)

    def records(self, collection, where=None, *, order=None, max_age=None, timeout=10.0):
        """Every record of `list`, page after page. `max_age`, `timeout`: as of `get`, for the first page."""
        page = {"cursor": None}
        while page is not None:
            page = self.list(collection, where, order=order, cursor=page["cursor"], max_age=max_age, timeout=timeout)
            yield from page["records"]
            page = page if page.get("cursor") else None

    def put(self, collection, data, id=None, *, if_seq=None, overwrite=False, merge=False, defer=False, op=None,
            instance=None):
        """`defer`: stays here until somebody marks the record for upload (`pending_upload`); so in `patch` and `delete`."""
        return self._call("put", collection=collection, data=data, id=id, if_seq=if_seq, overwrite=overwrite, merge=merge,
                          defer=defer, op=op, instance=instance)

    def patch(self, collection, id, patch, *, if_seq=None, defer=False, op=None, instance=None):
        return self._call("patch", collection=collection, id=id, patch=patch, if_seq=if_seq, defer=defer, op=op, instance=instance)

    def delete(self, collection, id, *, if_seq=None, defer=False, op=None, instance=None):
        return self._call("delete", collection=collection, id=id, if_seq=if_seq, defer=defer, op=op, instance=instance)

    def transact(self, writes, *, op=None, instance=None):
        """`writes`: like [{"put": {"collection": .., "data": ..}}, {"delete": {..}}], all or nothing."""
        return self._call("transact", writes=writes, op=op, instance=instance)

    def changes(self, since, *, instance=None, collections=None, ids=None, limit=None, data=False):
        """`ids`: single records of collections, like {"issues": ["i-1"]}."""
        return self._call("changes", since=since, instance=instance, collections=collections, ids=ids, limit=limit, data=data)

    def subscribe(self, collections=None, topics=None, *, ids=None, since=None, instance=None, initial=None, data=False, fresh=None,
                  patience=None):
        """A `Subscription`, on a connection of its own. `ids`: single records of collections, like {"issues": ["i-1"]}. `patience`: as the
        client's, for each time the daemon goes away. `fresh`: as long as it lives, what is here shall be no older than so many seconds."""
        ask = {"collections": collections, "ids": ids, "topics": topics, "since": since, "instance": instance, "data": data or None}
        ask = {key: value for key, value in ask.items() if value is not None}
        if initial is not None:
            ask["initial"] = initial
        if fresh is not None:
            ask["fresh_ms"] = int(1000 * fresh)
        return Subscription(self.path, self.app, ask, self.patience if patience is None else patience)

    def wait(self, what=None, timeout=None, *, syncs=None, all=False, since_at=None, reaches=None):
        """Until the remotes have a write (its token) or a run has ended (its id), or `timeout` seconds are over: then `pending`.

        Or until `syncs`, or `all` that are not paused, are synced: none runs or is due, nothing is pending, open or rejected, and its last run
        ended well, and began at `since_at` or later; or until `syncs` are in the state `reaches`. Where none gets on without a person, that is
        answered at once."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        if what is not None:
            which = {"run" if what.startswith("r-") else "token": what}
        else:
            given = {"syncs": syncs, "all": all or None, "since_at": since_at, "reaches": reaches}
            which = {key: value for key, value in given.items() if value is not None}
        while True:
            # In slices, so that a daemon that went away is noticed.
            within = max(0.0, min(_WAIT_SLICE, end - time.monotonic()))
            timeout = None if self.timeout is None else self.timeout + within
            answer = self.call("wait", {**which, "timeout_ms": int(1000 * within)}, timeout=timeout)
            behind = answer.get("syncs", [])
            person = behind and not [one for one in behind if one["needs"] != "person"]
            if answer["state"] != "pending" or person or time.monotonic() >= end:
                return answer

    def status(self):
        return self._call("status")

    def stop(self, *, lease=False):
        """`lease`: the stop ends with this connection, also where that is lost."""
        return self._call("stop", lease=lease)

    def restart(self, *, resync_stopped=False):
        return self._call("restart", resync_stopped=resync_stopped)

    def shutdown(self):
        return self._call("shutdown")

    def sync_run(self, sync, *, mode=None, force=False, accept_deletes=False):
        return self._call("sync.run", sync=sync, mode=mode, force=force, accept_deletes=accept_deletes)

    def sync_pause(self, sync):
        return self._call("sync.pause", sync=sync)

    def sync_resume(self, sync):
        return self._call("sync.resume", sync=sync)

    def sync_cancel(self, sync):
        """Ends its run for good, and the one that waits behind it."""
        return self._call("sync.cancel", sync=sync)

    def sync_ping(self, *syncs, remote=None):
        """There is something new at the remote: these syncs, or all with `remote`, are due. How each stands then."""
        return self._call("sync.ping", syncs=list(syncs) if syncs or remote is None else None, remote=remote)["syncs"]

    def sync_next(self, sync, at=None):
        """The next run of a sync is at this moment (2026-01-02T03:04:05Z), whatever its schedule says; None: when that says."""
        return self._call("sync.next", sync=sync, at=at)

    def sync_reset(self, sync, how):
        """Compares everything as if the remote had another history, after a copy of the store. `how`: recover, recover_or_discard
        or discard."""
        return self._call("sync.reset", sync=sync, how=how)

    def plan(self, sync, *, mode=None, force=False, accept_deletes=False, limit=None):
        """What a run would send and change now; the remote is asked, and nothing is done."""
        return self._call("plan", sync=sync, mode=mode, force=force, accept_deletes=accept_deletes, limit=limit)

    def rebuild(self, collection, *, plan=False):
        """Fetches a collection anew; what is not sent yet stays, and is counted. `plan`: only counts."""
        return self._call("rebuild", collection=collection, plan=plan)

    def sync_list(self):
        return self._call("sync.list")

    def sync_get(self, sync):
        return self._call("sync.get", sync=sync)

    def sync_define(self, sync, definition, *, if_exists=None, next_run_at=None):
        """Defines a sync, beside those of the configuration. `definition` has the keys of [sync.NAME]; `if_exists`: keep, update
        (as without) or replace; `next_run_at`: the moment of its next run, as in `sync_next`, nothing where it is kept."""
        return self._call("sync.define", sync=sync, definition=definition, if_exists=if_exists, next_run_at=next_run_at)

    def sync_remove(self, sync):
        """Takes out a sync that an app has defined; what it brought stays."""
        return self._call("sync.remove", sync=sync)

    def reload(self):
        """The configuration is read again: what was applied, what needs a new start, what was left behind."""
        return self._call("reload")

    def rpc_discover(self):
        """Every method and message, as an OpenRPC document."""
        return self._call("rpc.discover")

    def explain(self, sync):
        return self._call("explain", sync=sync)

    def history(self, sync=None, *, limit=None, cursor=None):
        return self._call("history", sync=sync, limit=limit, cursor=cursor)

    def conflict_list(self, collection=None, *, all=False, under=None, cursor=None):
        """`under`: a merge rule ("union", "manual", ...); then each says what that rule would have made of it, and the first page of how many."""
        return self._call("conflict.list", collection=collection, all=all, under=under, cursor=cursor)

    def conflict_resolve(self, conflict, *, keep=None, value=..., if_seq=None, op=None, instance=None):
        """Either `keep` ("truth", "theirs", "agreed") or `value`, for which None counts."""
        params = {"conflict": conflict, "keep": keep, "if_seq": if_seq, "op": op, "instance": instance}
        params = {key: one for key, one in params.items() if one is not None}
        return self.call("conflict.resolve", params if value is ... else {**params, "value": value})

    def rejection_list(self, sync=None, *, cursor=None):
        return self._call("rejection.list", sync=sync, cursor=cursor)

    def rejection_resolve(self, rejection, with_, *, op=None, instance=None):
        """`with_`: "retry", "drop", "recreate" or "rollback"."""
        return self._call("rejection.resolve", rejection=rejection, op=op, instance=instance, **{"with": with_})

    def pending_list(self, collection=None, sync=None, *, state=None, limit=None, cursor=None):
        """A page of what syncs have yet to send; `state`: "rejected", "in_flight", "awaiting_ack", "deferred" or "pending"."""
        return self._call("pending.list", collection=collection, sync=sync, state=state, limit=limit, cursor=cursor)

    def pending_upload(self, collection, ids=None):
        """Marks what was deferred for upload: these records, or all."""
        return self._call("pending.upload", collection=collection, ids=ids)

    def pending_rollback(self, collection=None, id=None, *, sync=None, cursor=None, op=None, instance=None):
        """Takes back what was not sent: of one record, or a page of them; the answer's cursor goes on."""
        return self._call("pending.rollback", collection=collection, id=id, sync=sync, cursor=cursor, op=op, instance=instance)

    def forget(self, collection, id, *, if_seq=None, op=None, instance=None):
        """Drops a record here; what remotes have of it stays."""
        return self._call("forget", collection=collection, id=id, if_seq=if_seq, op=op, instance=instance)

    def why(self, collection, id, property=None):
        """Where a record, or one property of it, comes from: since when, whose, by which rule, what lost."""
        return self._call("why", collection=collection, id=id, property=property)

    def undo(self, collection=None, id=None, *, seq=None, app=None, sync=None, run=None, since_at=None, until_at=None, preview=False,
             force=False, cursor=None, op=None, instance=None):
        """Takes a page of changes back; with preview, only says what that would do. The answer's cursor goes on."""
        return self._call("undo", collection=collection, id=id, seq=seq, app=app, sync=sync, run=run, since_at=since_at,
                          until_at=until_at, preview=preview, force=force, cursor=cursor, op=op, instance=instance)

    def app_register(self, collections, *, filters=None):
        """Says what this app keeps a copy of, before its first session or later. `filters`: by collection what is to be in the copy, like
        the `where` of `list`; None takes a filter away."""
        return self._call("app.register", collections=collections, filters=filters)

    def app_list(self, *, limit=None, cursor=None):
        """A page of the apps: what each may do, and what it keeps a copy of."""
        return self._call("app.list", limit=limit, cursor=cursor)

    def app_reset(self, app, collections=None):
        """Forgets the copy of an app, of these collections or all; what it brought stays."""
        return self._call("app.reset", app=app, collections=collections)

    def session(self, collections, *, mode=None, anchor=None, join_ms=None):
        """A `Session` of an app that keeps its own copy; it ends with the client's connection. With join_ms others are invited to it,
        and waited for."""
        begun = self.session_begin(collections, mode=mode, anchor=anchor, join_ms=join_ms)
        if begun["state"] == "negotiating":
            self.session_join(begun["session"])
        return Session(self, begun)

    def session_begin(self, collections, *, mode=None, anchor=None, join_ms=None):
        return self._call("session.begin", collections=collections, mode=mode, anchor=anchor, join_ms=join_ms)

    def session_join(self, session, *, decline=False, collections=None, mode=None, anchor=None):
        """Takes part in the session of an invitation, or waits for those who were invited."""
        return self._call("session.join", session=session, decline=decline, collections=collections, mode=mode, anchor=anchor)

    def session_push(self, session, changes):
        """`changes`: like [{"put": {"collection": .., "id": .., "data": ..}}, {"patch": {..}}, {"delete": {..}}]."""
        return self._call("session.push", session=session, changes=changes)

    def session_lost(self, session, collection, id, *, again=False):
        return self._call("session.lost", session=session, collection=collection, id=id, again=again)

    def session_mingle(self, session, *, accept_deletes=False):
        return self._call("session.mingle", session=session, accept_deletes=accept_deletes)

    def session_pull(self, session, *, limit=None, cursor=None, wait_ms=None):
        return self._call("session.pull", session=session, limit=limit, cursor=cursor, wait_ms=wait_ms)

    def session_accept(self, session, records):
        return self._call("session.accept", session=session, records=records)

    def session_refuse(self, session, records):
        return self._call("session.refuse", session=session, records=records)

    def session_commit(self, session):
        return self._call("session.commit", session=session)

    def session_finish(self, session):
        return self._call("session.finish", session=session)

    def session_cancel(self, session):
        return self._call("session.cancel", session=session)

    def remote_list(self):
        return self._call("remote.list")

    def remote_check(self, remote):
        return self._call("remote.check", remote=remote)

    def remote_budget(self):
        return self._call("remote.budget")

    def remote_login(self, remote, secret):
        """Keeps the secret of a remote where the configuration has it."""
        return self._call("remote.login", remote=remote, secret=secret)

    def remote_authorize(self, remote, device=None, same_person=None):
        """Begins a login that a person ends with a browser."""
        return self._call("remote.authorize", remote=remote, device=device, same_person=same_person)

    def remote_authorized(self, login):
        """What came of such a login, once it has ended."""
        return self._call("remote.authorized", login=login)

    def remote_logout(self, remote):
        """Takes the secret of a remote out of there."""
        return self._call("remote.logout", remote=remote)

    def worker_offer(self, remotes=None, *, patience=None):
        """Does the work of these remotes, or of all that are this app's: an iterator over `Work`, by a connection of its own. Where
        the daemon goes away it is waited for so many seconds, and the offer made again. `patience`: as the client's."""
        patience = self.patience if patience is None else patience
        return Worker(self.path, self.app, {} if remotes is None else {"remotes": list(remotes)}, patience)


class Session:
    """Push what the app changed, mingle, pull what it lacks, finish. `mode` says whether everything is to be pushed; `anchor` is to be
    kept with the app's copy, and shown when the next session begins. Left by an exception, a `with` cancels it."""

    def __init__(self, client, begun):
        self._client, self.id, self.mode, self.anchor = client, begun["session"], begun["mode"], None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.id is None:
            return
        try:
            if kind is None:
                self.finish()
        finally:
            if self.id is not None:
                with contextlib.suppress(MingleError):            # what went wrong before is what is to be told
                    self.cancel()

    def push(self, changes):
        """As `Client.session_push`."""
        return self._client.session_push(self.id, changes)

    def lost(self, collection, id, *, again=False):
        return self._client.session_lost(self.id, collection, id, again=again)

    def mingle(self, *, accept_deletes=False):
        return self._client.session_mingle(self.id, accept_deletes=accept_deletes)

    def pull(self, *, wait_ms=None):
        """Every record that the app lacks, page after page. With wait_ms others who take part and are late are waited for first."""
        page = {"cursor": None}
        while page is not None:
            page = self._client.session_pull(self.id, cursor=page["cursor"], wait_ms=wait_ms)
            wait_ms = None
            yield from page["records"]
            page = page if page.get("cursor") else None

    def accept(self, record, *, data=None, new_id=None):
        """`record` as it was pulled; `data`: what the app made of it; `new_id`: its id in the app."""
        more = {"data": data, "new_id": new_id}
        one = {**_shown(record), **{key: value for key, value in more.items() if value is not None}}
        return self._client.session_accept(self.id, [one])

    def refuse(self, record):
        return self._client.session_refuse(self.id, [_shown(record)])

    def commit(self):
        return self._closed(self._client.session_commit(self.id))

    def finish(self):
        """The end, with what is open. Refused (`Guarded`), the session is where it was."""
        answer = self._closed(self._client.session_finish(self.id))
        self.id = None
        return answer

    def cancel(self):
        answer = self._client.session_cancel(self.id)
        self.id = None
        return answer

    def _closed(self, answer):
        self.anchor = answer["anchor"]
        return answer


def _shown(record):
    return {key: record[key] for key in ("collection", "id", "seq")}


def _new_op():
    """A UUIDv7: the daemon tells from its time whether a repeat comes too late to be known."""
    bits = int(time.time() * 1000) << 80 | 7 << 76 | 2 << 62 | int.from_bytes(os.urandom(10), "big") & ~(15 << 76 | 3 << 62)
    text = f"{bits:032x}"
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def _has_seq(params):
    inner = [one for write in params.get("writes") or () if isinstance(write, dict) for one in write.values()]
    return any(isinstance(one, dict) and one.get("if_seq") is not None for one in [params, *inner])


class Changed(dict):
    """A page of changes: `changes`, `seq`, `more` (while it is true, the view is not whole), and `fresh`: what the app had is
    void, and everything follows."""


class Event(dict):
    """An event of a topic: `topic`, `at`, and what the topic has."""


class _Listening:
    """What hears on a connection of its own, from the daemon that is there: an iterator, until it is closed. Close it, or use `with`."""

    _line, _over = None, False

    def __iter__(self):
        return self

    def __next__(self):
        heard = self.next()
        if heard is None:
            raise StopIteration
        return heard

    def _close(self):
        if self._line is not None:
            self._line.close()
            self._line = None

    def close(self):
        """Ends the iteration, also from another thread."""
        self._over = True
        line = self._line
        if line is not None:
            try:
                line.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self._close()


class Subscription(_Listening):
    """An iterator over `Changed` and `Event`. Over a lost connection it goes on from its last `seq`: events in between are lost,
    no change is. `seq` and `instance` are the position behind what was given; `caught_up`: the view is whole."""

    def __init__(self, path, app, ask, patience):
        self._path, self._app, self._ask, self._patience = path, app, ask, patience
        self._void, self._until = False, math.inf
        self.seq, self.instance, self.caught_up = None, None, False
        self._begin()

    def _begin(self):
        line, hello = _greeted(self._path, self._app)
        try:
            answer = line.ask("subscribe", self._ask, time.monotonic() + _HELLO_WITHIN)
        except BaseException:
            line.close()
            raise
        self._line, self._number = line, answer["subscription"]
        self.seq, self.instance, self.caught_up = answer["seq"], hello.get("instance"), answer["caught_up"]
        self._void = bool(answer.get("fresh"))

    def next(self, timeout=None):
        """The next update; None: not within `timeout` seconds (0: looks only), or closed."""
        end = None if timeout is None else time.monotonic() + timeout
        while not self._over:
            try:
                if self._line is None:
                    self._begin()
                self._until = math.inf
                if self._void and self.caught_up:
                    # An empty store sends nothing, and still what the app had is void.
                    self._void = False
                    return Changed(subscription=self._number, changes=[], seq=self.seq, more=False, fresh=True)
                message = self._line.hear(end)
                if message is None:
                    return None
                update = self._read(message)
                if update is not None:
                    return update
            except (Lost, NotRunning, NotInstalled) as error:
                self._again()
                if self._over or end is not None and time.monotonic() >= end:
                    return None
                if self._until == math.inf:
                    self._until = time.monotonic() + self._patience
                _waits("subscribe", error, self._until)
        return None

    def _again(self):
        self._close()
        self._ask = {key: value for key, value in self._ask.items() if key != "initial"}
        self._ask.update(since=self.seq, instance=self.instance)

    def _read(self, message):
        params = message.get("params") or {}
        if message.get("method") not in ("changed", "event") or params.get("subscription") != self._number:
            if message.get("id", 0) is None and "error" in message:
                raise _refused(message["error"])
            return None
        if message["method"] == "event":
            return Event(params)
        self.seq, self.caught_up = params["seq"], not params["more"]
        changed = Changed(params)
        changed["fresh"] = bool(params.get("fresh")) or self._void
        self._void = False
        return changed

    def fileno(self):
        """For select, after `next(0)` gave None: readable where there may be an update. Another one after a lost connection."""
        return -1 if self._line is None else self._line.socket.fileno()


class Work(dict):
    """One piece of work: `work`, `sync`, `remote`, `resource`, `checkpoint` (None: everything is wanted), perhaps `deadline_ms`.

    In a `with` block it is done at the end of it, and failed where the block raises. Where it was over before that, by a stop or with the
    connection, the block ends there, and nothing is raised: the next call goes on from the last checkpoint."""

    def __init__(self, worker, params):
        super().__init__(params)
        self._worker, self._number, self._said, self._over = worker, 0, False, None

    def batch(self, rows=(), checkpoint=None):
        """Records `{"id": .., "data": ..}` and deletes `{"id": .., "deleted": True}`, up to 500: once this returns they are in the
        truth, and `checkpoint` is what the next work has. `WrongState`: the work is over."""
        self._number += 1
        params = {"work": self["work"], "batch": self._number, "rows": list(rows)}
        if checkpoint is not None:
            params["checkpoint"] = checkpoint
        self._tell("worker.batch", params)

    def done(self, news=False):
        """It is done. `news`: there was something new beyond what the batches changed."""
        self._end({"result": "new_data" if news else "no_new_data"})

    def failed(self, error=None, retry_after=None):
        """It came to nothing; it is tried again later, not before `retry_after` seconds."""
        said = {"result": "failed", "error": None if error is None else str(error)}
        said["retry_after_ms"] = None if retry_after is None else round(retry_after * 1000)
        self._end({key: value for key, value in said.items() if value is not None})

    def _end(self, said):
        self._said = True
        self._tell("worker.done", dict(said, work=self["work"]))

    def _tell(self, method, params):
        try:
            self._worker._ask(method, params)
        except (WrongState, Lost) as error:
            # A batch after the end is a mistake of the block's own.
            if method == "worker.done" or not self._said:
                self._over = error
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        # Only what was said of this work, not what another call of the block raises.
        if error is not None and error is self._over:
            return True
        if self._said or self._over is not None or isinstance(error, Garbled):
            return False
        with contextlib.suppress(WrongState, Lost):
            self.done() if kind is None else self.failed(error or kind.__name__)
        return False


class Worker(_Listening):
    """An iterator over `Work`, one after the other; what was stopped before it was begun is passed over."""

    def __init__(self, path, app, ask, patience):
        self._path, self._app, self._params, self._patience = path, app, ask, patience
        self.remotes = []
        self._begin()

    def _begin(self):
        line, _ = _greeted(self._path, self._app)
        line.unasked = []
        try:
            self.remotes = line.ask("worker.offer", self._params, time.monotonic() + _HELLO_WITHIN)["remotes"]
        except BaseException:
            line.close()
            raise
        self._line = line

    def next(self, timeout=None):
        """The next work; None: not within `timeout` seconds, or closed."""
        end, until = None if timeout is None else time.monotonic() + timeout, math.inf
        while not self._over:
            try:
                if self._line is None:
                    self._begin()
                until = math.inf
                message = self._line.unasked.pop(0) if self._line.unasked else self._line.hear(end)
                if message is None:
                    return None
                if message.get("method") == "work" and not self._is_stopped(message["params"]["work"]):
                    return Work(self, message["params"])
            except (Lost, NotRunning, NotInstalled) as error:
                self._close()
                if self._over or end is not None and time.monotonic() >= end:
                    return None
                if until == math.inf:
                    until = time.monotonic() + self._patience
                _waits("worker.offer", error, until)
        return None

    def _is_stopped(self, work):
        return any(one.get("method") == "work.stop" and one["params"]["work"] == work for one in self._line.unasked)

    def _ask(self, method, params):
        if self._line is None:
            raise Lost("the connection ended, and the work with it")
        try:
            return self._line.ask(method, params, None)
        except Lost:
            self._close()
            raise
