"""
What the edge is to be, and the words in which its two halves speak: frozen values, and nothing else.

- `versionid`: one version of one plugin, as everybody calls it;
- `refusal`: a change that was not made, and why;
- `catalog`: the plugins there are, and those that are wanted;
- `pemfiles`: the files that certificates are read from, as bytes;
- `trial`: a version on trial, and who meets it; `evidence`: what workers tell of that;
- `plan`: configuration, and which bundle each plugin runs: all that a worker needs to make it so;
- `words`: what control says to its workers, and what they say to it;
- `counted`: what workers count, and `durations`: how they count how long things take;
- `encoding`: words as bytes, and back;
- `events`: what has happened, for people.

A value here refers to no live object, so it may cross a process, or a network::

    >>> from revproxy.plan.encoding import decode, encode
    >>> from revproxy.plan.words import Commit
    >>> decode(encode(Commit(transaction=7)))
    Commit(transaction=7)
"""
