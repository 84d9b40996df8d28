"""`python -m hptransfer` and `hptransfer` are the same program."""

import atexit
import gc
from typing import NoReturn


def main() -> NoReturn:
    """Run the program; Ctrl-C while it is still being loaded ends it quietly, as later on."""
    gc.set_threshold(100_000, 50, 50)  # loading makes many objects and no garbage
    atexit.register(gc.freeze)  # nor is any worth looking for at the end
    try:
        from hptransfer.cli.app import main as run
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
