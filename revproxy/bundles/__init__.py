"""
Plugin code as bytes: read, checked, kept. Nothing here imports it.

- `ignorerules`: what of a folder is no part of the plugin;
- `signaturefiles`: what a signature is called;
- `nativecode`: why machine code is refused;
- `folderreader`: walks a folder by descriptors, and takes its fingerprint;
- `bundle`: every byte of a plugin's folder, read once, with a digest; read again only when the fingerprint differs;
- `versionstore`: bundles on disk, under their digests, for restarts and rollbacks;
- `checksums`: files beside them that name what is damaged.

And who vouches for them:

- `signedmanifest`: the list of all files, which is what is signed;
- `sshkey`, `sshenvelope`: signatures of ``ssh-keygen -Y sign``, security keys included;
- `minisignenvelope`: signatures of ``minisign -S``;
- `envelope`: what these two have in common;
- `signature`: whether somebody who is trusted has signed a bundle, and each of its files;
- `untrusted`: the refusal, by file and rule.

Only bytes that were read together count::

    from pathlib import Path
    from revproxy.bundles.bundle import readBundle
    from revproxy.bundles.versionstore import VersionStore

    bundle = readBundle(Path("plugins/hello"))
    store = VersionStore(Path("var/versions"))
    store.keep("hello", bundle)
    assert store.read("hello", bundle.digest).files == bundle.files
"""
