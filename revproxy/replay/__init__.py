"""
A plugin's call as a value: taken down, made once more on a copy, and compared.

- `recordedcall`: what a plugin was asked, and all that it was told meanwhile;
- `outcome`: what it did;
- `recordedrequest`: a request with the calls of each plugin in it, and the origin's answer;
- `difference`: in what two outcomes differ;
- `corpusredaction`: what is taken out of a recording, `corpustext`, `corpus`: how it is written, and read again.

Nothing here touches a client, an origin, a file, or a plugin that serves.
"""
