"""How long to wait before something that is away is tried again."""

import random

_LONGEST_SECONDS = 60.0


def pause(tries: int, first: float = 1.0) -> float:
    """Seconds to wait after so many tries in vain: by chance, but never more than a minute.

    At most twice as long each time, so that a house full of devices does not call its router all at
    once ("full jitter", M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

    Args:
        tries: in vain before; 0 for the first pause.
        first: seconds that the first pause lasts at most.
    """
    return random.uniform(0, min(first * 2.0 ** min(tries, 30), _LONGEST_SECONDS))
