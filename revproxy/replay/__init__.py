"""
A plugin's call as a value: taken down, made once more on a copy, and compared.

Taken down:

- `recordedcall`: what a plugin was asked, and all that it was told meanwhile;
- `outcome`: what it did; `raising` is an exception in it;
- `capture` makes both of a call while it is made: `bodytap` sees bodies pass, `writtenvalues` copies what plugins leave
  for each other, `toldclient` writes down what a plugin's own requests are answered, `selftime` how long it works;
- `recordedrequest`: a request with the calls of each plugin in it, and the origin's answer.

Made again:

- `remake` calls a middleware with a `copiedcontext`; a `replayedclient` answers its requests; all else that it could
  touch is a `replaytoolbox`.

Compared:

- `difference`: in what two outcomes differ; `redaction` takes out of that what is nobody's business.

Kept:

- `corpusredaction` takes out of a recorded request what `secretsearch` finds by `redactionrules`; who looks at what was
  taken out, `watchedfields` tell;
- `corpustext`, `corpus`: how a recording is written, and read again.

Nothing here touches a client, an origin, a file, or a plugin that serves.
"""
