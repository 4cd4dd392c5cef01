"""
Notices that files have changed, and says so once they are complete.

- `fingerprint`: what files look like from outside; which of them count.
- `inotify`: folders, of which the kernel tells what happens in them.
- `filemonitor`: the folders that have to be watched so for some files, whatever becomes of them.
- `settling`: when what happens is over.
- `watcher`: many events, and a rescan every few seconds for what has none, become one call in the reactor.

A watcher of a folder of plugins, and of one of certificates, in which subfolders do not count::

    watcher = Watcher(reactor, ["plugins", Root("/etc/certificates", depth=0)], lambda: print("read them again"))
    await watcher.start()
"""
