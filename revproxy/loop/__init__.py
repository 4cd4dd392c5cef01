"""
The event loop, and what waits on it. Nothing here knows what an edge is.

- `interpreter`: the process before the loop runs, and at its end;
- `closedprocess`: what other processes may see of this one, `remotedebug`: that nobody runs code in it from outside;
- `reactor`: Twisted's epoll reactor without the ceremony around each event;
- `parentdeath`: processes that end with the one that has begun them;
- `serverendpoint`: where to listen, also on what systemd hands over;
- `deadlines`: one sweep for thousands of deadlines, instead of a timer for each;
- `jobthread`: jobs for a disk that may never answer;
- `threads`: a bounded pool of threads that nobody waits for;
- `unhandled`: results whose failures are heard of, also where nobody waits for them;
- `asyncioloop`: a loop of asyncio's beside it, in a thread, and whose its tasks are;
- `waiting`: for foreign code, but not for ever.

A deadline of everything that waits is an attribute; setting it is the whole price::

    from time import monotonic
    from twisted.internet import reactor
    from twisted.internet.protocol import Protocol
    from revproxy.loop.deadlines import Deadlines

    deadlines = Deadlines(reactor, 0.5, monotonic)

    class Upload(Protocol):
        def connectionMade(self):
            self.deadline = deadlines.now() + 60
            deadlines.watch(self)

        def dataReceived(self, data):
            self.deadline = deadlines.now() + 60

        def deadlineExpired(self):
            deadlines.forget(self)
            self.transport.abortConnection()
"""
