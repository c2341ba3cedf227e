"""How the scripts here run other programs: what one says when it fails is not lost."""
import shlex
import subprocess


class Failed(Exception):
    """A program that did not start, ended with an error, or did not print what was asked for; the text says all of it."""


def output_of(command, **more):
    """What the command prints. Raises Failed with the command, its exit code and what it said."""
    command = [str(each) for each in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", **more)
    except OSError as error:
        raise Failed(f"{shlex.join(command)}\n  did not start: {error}") from error
    if done.returncode:
        how = f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"ended with exit code {done.returncode}"
        raise Failed(f"{shlex.join(command)}\n  {how} and said:\n{said(done)}")
    return done.stdout


def said(done):
    text = "\n".join(part.rstrip() for part in (done.stdout, done.stderr) if part.strip())
    return text or "(nothing)"
