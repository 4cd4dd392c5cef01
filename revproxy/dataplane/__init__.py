"""
The data plane moves bytes. It knows no files, no JSON, and no plugin by name.

In the order in which a request meets the rooms:

- `transport`, `connection`, `listener` accept and write at once; `proxyprotocol` reads who really called, and
  `clientcounts` how often;
- `clienthello`, `tls`, `tlscontexts`, `sockettls`: OpenSSL on the socket itself, the host chosen by name;
- `framing` decides which heads are acceptable and where a body ends; `http1server` is the connection to a client;
- `exchange` is one request's life; `edge` is what all of them share, the current generation first of all;
- `routing` finds the leaf by host and path, `readings` what else the path may mean to an origin;
- `chain` takes the request through the middleware, forth and back;
- `leaves`, `static`, `mounted`, `proxy` stand at the end of a route; `errorpage` when something went wrong;
- `forwarding` writes the headers of the hop; `upstream`, `pool`, `client`, `http1client` are the origin's side, with
  `shares`, `queue` and `keepalive` for the pool;
- `tunnel` carries bytes both ways after 101;
- `deadlines` and `limits` bound all of it; `accesslog` has one line (`accessline`) for each request.
"""
