"""A workshop that runs its jobs at once, or when it is told to, so that sessions are tested without processes."""

from concurrent.futures import Future

from bayesnn.playground.work import GivenUp


class Inline:
    """Like `Workshop`, without workers.

    Parameters
    ----------
    answer : callable
        From a key to a result, or to an exception.
    wait : bool
        Whether jobs wait for `work`.
    """

    workers = 2

    def __init__(self, answer, wait=False):
        self.answer, self.wait = answer, wait
        self.ran, self.results, self.queue = [], {}, []
        self.number, self.left, self.sessions = 0, [], 0

    def seat(self):
        self.sessions += 1
        return 7

    def leave(self, seat):
        self.sessions -= 1
        self.left.append(seat)

    def move_on(self, seat):
        self.number += 1
        for future, _, _ in self.queue:
            future.set_exception(GivenUp())
        self.queue.clear()

    def cores(self):
        return 2

    def kept(self, key):
        return self.results.get(key)

    def run(self, seat, key, function, *arguments, rank=None):
        future = Future()
        if key in self.results:
            future.set_result(self.results[key])
        elif self.wait:
            self.queue.append((future, key, arguments))
        else:
            self._do(future, key)
        return future

    def work(self):
        """Run what waits now."""
        waiting, self.queue = self.queue, []
        for future, key, _ in waiting:
            self._do(future, key)

    def _do(self, future, key):
        self.ran.append(key)
        value = self.answer(key)
        if isinstance(value, Exception):
            future.set_exception(value)
        else:
            self.results[key] = value
            future.set_result(value)
