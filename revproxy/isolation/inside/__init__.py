"""
The inside of a locked process: a loop, and what plugins are given.

A plugin finds here what it finds in the edge's own process, and cannot tell the difference but by what is missing:
files, sockets, threads. In the order of flow:

- `main`: where it begins, before the lock: `preimports` is what has to be in memory by then, `latemodules` what is
  mapped instead, `lightmodules` what is lighter there than elsewhere, and `warmup` what is tried before the first fork;
- `serving`: from the lock to the end; connects the rest;
- `insideloop`: one stream, and timers, each a `timer`; `holding`: whose code runs, told outside;
- `runtime`: what becomes of each frame that comes; `calls`: of those of requests; `pending`: what is answered later;
- `insideplugin`: from the bytes that were sent to a middleware; `steps`: its life outside of requests;
- `insiderequest`: one request: a context made from what the edge tells, and compared with that afterwards;
  `toldfields`: its fields;
- `bodysource`, `filtering`, `pulling`: bodies that are at the edge, pass filters here, or are made here;
- `asks`, `askederrors`: what the process asks the edge for, and how it fails;
- `toolbox`, `insidehost`, `edgeclient`, `edgestore`, `edgefigures`, `edgelog`: what plugins reach, each with the edge
  behind it;
- `failures`: what is told of an error of the plugin's code.
"""
