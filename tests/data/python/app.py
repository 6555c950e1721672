"""An app that does what its standard input says: each line is a JSON text with Python in it, done where `mingle` is at hand; each is
answered by a line, {"value": ..} or {"raised": .., and what the exception has}. The first argument is the folder of mingle.py."""
import json
import sys
import threading
import time

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import mingle

space = {"mingle": mingle, "json": json, "time": time, "threading": threading}


def done(text):
    try:
        try:
            code = compile(text, "told", "eval")
        except SyntaxError:
            exec(compile(text, "told", "exec"), space)
            return {"value": None}
        return {"value": eval(code, space)}
    except Exception as error:
        about = {key: value for key, value in vars(error).items() if not key.startswith("_")}
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "mingle"]
        return {"raised": type(error).__name__, "kinds": kinds, "text": str(error), **about}


# What the told code prints is no answer.
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    print(mingle._encode(done(json.loads(line))), file=answers, flush=True)
