"""
What origins make of the path of a request target: each a pure function, written from what they document or do.

Each returns the names, in order, by which the origin then looks for what to do, or None where it answers 400 or 404 by
itself. An empty name stands for two slashes in a row, or for one at the end. Where a setting changes the reading there
is one function for each of its values; MODELS has them all by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

Names = list[bytes]
Model = Callable[[bytes], "Names | None"]


def _followed(names: Names, *, clamps: bool = True, merges: bool = True) -> Names | None:
    """Dot segments followed (RFC 3986 §5.2.4); None for what climbs out, unless that ends at the root."""
    kept: Names = []
    for name in names:
        if name == b"..":
            if kept:
                kept.pop()
            elif not clamps:
                return None
        elif name != b"." and (name or not merges):
            kept.append(name)
    return kept


def _segments(path: bytes) -> Names:
    return path[1:].split(b"/")


def _malformed(path: bytes) -> bool:
    return re.search(rb"%(?![0-9a-fA-F]{2})", path) is not None


def express(path: bytes) -> Names | None:
    """
    Express 4 and 5: path-to-regexp matches ``parseurl(req).pathname``, which is not decoded; parameters are decoded
    afterwards. No slash is merged, no dot segment removed.
    """
    return _segments(path)


def nodeURL(path: bytes) -> Names | None:
    """
    ``new URL(req.url, "http://host").pathname``, the way of Node's documentation (WHATWG URL, "path state"): a
    backslash is a slash, two of either begin a host, ``%2e`` is a dot in dot segments; nothing else is decoded.
    """
    path = path.replace(b"\\", b"/")
    if path.startswith(b"//"):
        path = b"/" + path.lstrip(b"/").partition(b"/")[2]
    names = [
        re.sub(rb"%2e", b".", name, flags=re.IGNORECASE) if re.fullmatch(rb"(?i:\.|%2e){1,2}", name) else name
        for name in _segments(path)
    ]
    return _followed(names, merges=False)


def send(path: bytes) -> Names | None:
    """``express.static`` (send): decoded once, then ``path.normalize``; malformed escapes and NUL are 400."""
    decoded = unquote_to_bytes(path)
    if _malformed(path) or b"\0" in decoded:
        return None
    return _followed(_segments(decoded), clamps=False)


def nginx(path: bytes) -> Names | None:
    """nginx (``ngx_http_parse_complex_uri``): decoded once; what comes out is merged and followed, then compared."""
    decoded = unquote_to_bytes(path)
    if _malformed(path) or b"\0" in decoded:
        return None
    return _followed(_segments(decoded), clamps=False)


def nginxUnmerged(path: bytes) -> Names | None:
    """nginx with ``merge_slashes off``."""
    decoded = unquote_to_bytes(path)
    if _malformed(path) or b"\0" in decoded:
        return None
    return _followed(_segments(decoded), clamps=False, merges=False)


def nginxRewritten(path: bytes) -> Names | None:
    """An application that decodes, behind nginx with ``proxy_pass http://app$uri``: decoded twice, ``?`` ends it."""
    names = nginx(path)
    return None if names is None else unquote_to_bytes(b"/".join(names).partition(b"?")[0]).split(b"/")


def httpd(path: bytes) -> Names | None:
    """Apache httpd, ``AllowEncodedSlashes Off``: ``%2f`` is 404; unreserved octets are decoded, dots followed first."""
    if re.search(rb"%2f|%00", path, re.IGNORECASE) or _malformed(path):
        return None
    return _followed(_segments(unquote_to_bytes(path)), clamps=False)


def httpdNoDecode(path: bytes) -> Names | None:
    """Apache httpd, ``AllowEncodedSlashes NoDecode``: all is decoded but ``%2f``."""
    if b"%00" in path or _malformed(path):
        return None
    pieces = re.split(rb"(%2f)", path, flags=re.IGNORECASE)
    decoded = b"".join(piece if piece.lower() == b"%2f" else unquote_to_bytes(piece) for piece in pieces)
    return _followed(_segments(decoded), clamps=False)


def httpdOn(path: bytes) -> Names | None:
    """Apache httpd, ``AllowEncodedSlashes On``: dots are followed before ``%2f`` becomes a slash."""
    names = httpdNoDecode(path)
    return None if names is None else unquote_to_bytes(b"/".join(names)).split(b"/")


def tomcat(path: bytes) -> Names | None:
    """
    Tomcat (``CoyoteAdapter``), ``encodedSolidusHandling="decode"``: parameters are cut off each segment, then it is
    decoded, backslashes become slashes (``allowBackslash``), empty and dot segments go.
    """
    bare = b"/".join(name.partition(b";")[0] for name in path.split(b"/"))
    decoded = unquote_to_bytes(bare).replace(b"\\", b"/")
    if _malformed(bare) or b"\0" in decoded:
        return None
    return _followed(_segments(decoded), clamps=False)


def tomcatPassThrough(path: bytes) -> Names | None:
    """Tomcat, ``encodedSolidusHandling="passthrough"``: ``%2f`` stays; a backslash is refused, as is its default."""
    bare = b"/".join(name.partition(b";")[0] for name in path.split(b"/"))
    return None if re.search(rb"\\|%5c", bare, re.IGNORECASE) else httpdNoDecode(bare)


def spring(path: bytes) -> Names | None:
    """Spring MVC (``UrlPathHelper``), from the raw URI: ``;`` cut, decoded, ``//`` merged; dot segments are kept."""
    bare = b"/".join(name.partition(b";")[0] for name in path.split(b"/"))
    return [name for name in _segments(unquote_to_bytes(bare)) if name]


def jetty(path: bytes) -> Names | None:
    """Jetty 9: dots are followed in what is raw, then parameters are cut and it is decoded."""
    names = _followed(_segments(path), clamps=False, merges=False)
    return None if names is None else [unquote_to_bytes(name.partition(b";")[0]) for name in names]


def jettyLenient(path: bytes) -> Names | None:
    """Jetty with ``UriCompliance.LEGACY``: parameters are cut first, encoded dots are followed, ``%2f`` is a slash."""
    bare = b"/".join(name.partition(b";")[0] for name in path.split(b"/"))
    return _followed(unquote_to_bytes(bare)[1:].split(b"/"), merges=False)


def sessionCut(path: bytes) -> Names | None:
    """Older servlet containers: the first ``;`` ends the path (``;jsessionid=``), then it is decoded and followed."""
    return _followed(_segments(unquote_to_bytes(path.partition(b";")[0])))


def wsgi(path: bytes) -> Names | None:
    """WSGI (PEP 3333: ``PATH_INFO`` is decoded once), Django and Werkzeug with ``merge_slashes=False``."""
    return _segments(unquote_to_bytes(path))


def werkzeug(path: bytes) -> Names | None:
    """Flask: as WSGI, and ``merge_slashes`` (by a redirect, so the merged path is what comes next)."""
    return [name for name in _segments(unquote_to_bytes(path)) if name]


def symfony(path: bytes) -> Names | None:
    """PHP behind FPM, Symfony and Laravel: ``REQUEST_URI`` is raw, ``rawurldecode`` comes before it is compared."""
    return _segments(unquote_to_bytes(path))


def phpFile(path: bytes) -> Names | None:
    """PHP that opens what it is asked for: decoded, then followed by the file system."""
    return _followed(_segments(unquote_to_bytes(path)))


def rails(path: bytes) -> Names | None:
    """Rails (``Journey::Router::Utils.normalize_path``): slashes merged, hex in upper case, nothing decoded."""
    return [re.sub(rb"%[0-9a-f]{2}", lambda m: m[0].upper(), name) for name in _segments(path) if name]


def rackFile(path: bytes) -> Names | None:
    """``Rack::Files``: unescaped, split at either slash, dots followed (``Rack::Utils.clean_path_info``)."""
    decoded = unquote_to_bytes(path)
    return None if b"\0" in decoded else _followed(re.split(rb"[/\\]", decoded))


def goMux(path: bytes) -> Names | None:
    """Go before 1.22: ``ServeMux`` compares ``path.Clean`` of the decoded ``URL.Path``."""
    return None if _malformed(path) else _followed(_segments(unquote_to_bytes(path)))


def goMuxEscaped(path: bytes) -> Names | None:
    """Go since 1.22: ``path.Clean`` of the escaped path; then each segment is unescaped by itself."""
    if _malformed(path):
        return None
    names = _followed(_segments(path))
    return None if names is None else [unquote_to_bytes(name) for name in names]


def iis(path: bytes) -> Names | None:
    """
    IIS: ``%uXXXX`` and ``%XX`` decoded, backslashes are slashes, dots followed; then a file system that drops dots and
    spaces at the end of a name.
    """
    wide = re.sub(rb"%u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)).encode("utf-8", "surrogatepass"), path)
    decoded = unquote_to_bytes(wide).replace(b"\\", b"/")
    if b"\0" in decoded:
        return None
    names = _followed(_segments(decoded))
    return None if names is None else [name.rstrip(b". ") for name in names]


def iisTwice(path: bytes) -> Names | None:
    """IIS with ``allowDoubleEscaping``, and those before it: decoded a second time."""
    return iis(unquote_to_bytes(path))


def lenientUTF8(path: bytes) -> Names | None:
    """A decoder that takes overlong UTF-8 for what it stands for (CVE-2008-2938)."""
    decoded = unquote_to_bytes(path)
    short = re.sub(rb"[\xc0\xc1][\x80-\xbf]", lambda m: bytes([(m[0][0] & 1) << 6 | m[0][1] & 0x3F]), decoded)
    return _followed(_segments(short))


def whitespace(path: bytes) -> Names | None:
    """An application that strips its parameters: ``/admin%20``, ``/admin%0a``."""
    return [name.strip() for name in _segments(unquote_to_bytes(path))]


def stringInC(path: bytes) -> Names | None:
    """NUL ends a string, after whatever decoding."""
    return _segments(unquote_to_bytes(unquote_to_bytes(path)).partition(b"\0")[0])


MODELS: dict[str, Model] = {
    model.__name__: model
    for model in (
        express, nodeURL, send, nginx, nginxUnmerged, nginxRewritten, httpd, httpdNoDecode, httpdOn, tomcat,
        tomcatPassThrough, spring, jetty, jettyLenient, sessionCut, wsgi, werkzeug, symfony, phpFile, rails, rackFile,
        goMux, goMuxEscaped, iis, iisTwice, lenientUTF8, whitespace, stringInC,
    )
}  # fmt: skip
