"""Routes: what they become, and what is said about everything that is wrong in them."""

from __future__ import annotations

from tests.config.test_configfile import START, ConfigTestCase


class RouteTests(ConfigTestCase):
    """The routes of revproxy.yaml."""

    def test_redirectFromRequest(self) -> None:
        """A redirect may take parts of the request."""
        text = "routes: [{redirect: 'https://{hostname}:8443{target}'}]\n"
        config = self.parse("listeners: [{endpoint: 'tcp:1'}]\n" + text)
        assert config.routes[0].redirect is not None
        self.assertEqual(config.routes[0].redirect.location, "https://{hostname}:8443{target}")
        for location in (
            "https://{host}{target}", "https://{host}", "https://www.{hostname}/?{query}", "HTTP://a{path}?{query}",
            "https://a:81/{query}", "//cdn.example{path}", "{target}", "{path}?to={query}", "/a{path}", "/?{query}",
            "/{host}{path}", "/a{query}", "https://a?{query}", "https://a#{query}", "mailto:a@b.example", "app:///a",
        ):
            config = self.parse(f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes: [{{redirect: {{url: '{location}'}}}}]")
            assert config.routes[0].redirect is not None
            self.assertEqual(config.routes[0].redirect.location, location)

    def test_unknownUpstream(self) -> None:
        """The message says which there are."""
        self.assertRefused("routes:\n  - host: a.example\n    upstream: ap\n",
                           'r.yaml:5:5: $.routes[0].upstream: no upstream named "ap"; there is "app"')

    def test_oneLeaf(self) -> None:
        """A route with two answers is refused at the second."""
        self.assertRefused("routes: [{upstream: app, respond: {}}]",
                           "r.yaml:3:26: $.routes[0].respond: has upstream and respond; only one of them can answer")

    def test_duplicateRoutes(self) -> None:
        """The same host and path twice, however it is spelled; equal names."""
        self.assertRefused(
            "routes:\n- {host: A.example, path: /x, upstream: app}\n- {host: a.EXAMPLE, path: /x/, upstream: app}\n"
            "- {path: /y, name: n, upstream: app}\n- {path: /z, name: n, upstream: app}\n",
            'r.yaml:5:3: $.routes[1]: host and path are those of the route "a.example/x"; only one of them can answer',
            'r.yaml:7:14: $.routes[3].name: another route has the name "n"')

    def test_case(self) -> None:
        """What differs in case only, where case is ignored: at a route, and below it. Elsewhere they are two paths."""
        self.assertRefused(
            "routes:\n- {path: /x, upstream: app}\n- {path: /Area, case: insensitive, upstream: app}\n"
            "- {path: /AREA/, upstream: app}\n- {path: /area/a, upstream: app}\n- {path: /Area/A, upstream: app}\n"
            "- {path: /area/b, case: sensitive, upstream: app}\n",
            'r.yaml:6:4: $.routes[2].path: differs from the route "/Area" in case only, which is ignored here',
            'r.yaml:8:4: $.routes[4].path: differs from the route "/area/a" in case only, which is ignored here',
            'r.yaml:9:19: $.routes[5].case: is below the route "/Area", which ignores case; leave it out here')
        self.assertRefused(
            "routes:\n- {path: /ABC, upstream: app}\n- {path: /abc, case: insensitive, upstream: app}\n",
            'r.yaml:5:4: $.routes[1].path: differs from the route "/ABC" in case only, which is ignored here')
        config = self.parse(
            START + "routes:\n- {path: /a, upstream: app}\n- {path: /A, case: sensitive, upstream: app}\n"
            "- {path: /b, case: insensitive, upstream: app}\n- {path: /B, host: x, upstream: app}\n"
            "- {path: /b/C, case: insensitive, upstream: app}\n")
        self.assertEqual([route.case for route in config.routes], ["sensitive"] * 2 + ["insensitive", "sensitive",
                                                                                      "insensitive"])

    def test_nothingToServe(self) -> None:
        """Without routes there must be exactly one upstream."""
        self.assertEqual(self.refused("listeners: [{endpoint: 'tcp:1'}]"),
                         ["r.yaml:1:1: $: nothing to serve: give routes, or one upstream that everything goes to"])
        two = "listeners: [{endpoint: 'tcp:1'}]\nupstreams: {a: {targets: [http://a]}, b: {targets: [http://b]}}"
        self.assertIn("several upstreams and no routes", self.refused(two)[0])

    def test_routeValues(self) -> None:
        """Hosts, paths, redirects, answers, folders and dotted names that cannot work."""
        for route, part in (
            ("host: 'a.example:80', upstream: app", "only the name, without scheme, port and path"),
            ("host: 'a.*', upstream: app", "a wildcard is written *.example.com"),
            ("host: '[::1', upstream: app", "is not an IPv6 address"),
            ("host: '-a', upstream: app", "is not a host name"),
            ("path: api, upstream: app", "does not start with /"),
            ("path: '/a?b', upstream: app", "has no query"),
            ("path: '/a;b', upstream: app", "are not the same to all origins"),
            (r"path: '/a\b', upstream: app", "are not the same to all origins"),
            ("path: /a./b, upstream: app", "are not the same to all origins"),
            ("path: '/a /b', upstream: app", "are not the same to all origins"),
            ("path: /a, case: upper, upstream: app", '"upper" is not one of "sensitive", "insensitive"'),
            ("path: /a%20b, upstream: app", "write the path decoded"),
            ("path: /a/../b, upstream: app", "no request would match it"),
            ("path: //a, upstream: app", "no request would match it"),
            (r'path: "/a\n", upstream: app', "control character"),
            ("redirect: 'https://a b'", "a URL has no spaces"),
            (r'redirect: "/a\r\nSet-Cookie: x"', "a URL has no spaces"),
            ("redirect: example.com", "write a whole URL"),
            ("redirect: 'https://{hots}/'", "{hots} is not one of {host}, {hostname}, {path}, {query}, {target}"),
            ("redirect: 'https://a/{path'", "{ is not one of"),
            ("redirect: '/{query}'", "leads to another site"),
            ("redirect: '/{path}'", "leave out the first slash"),
            ("redirect: '/{target}'", "leave out the first slash"),
            ("redirect: '//{query}'", "would be a part of the host"),
            ("redirect: '//{path}'", "has no host"),
            ("redirect: '//{host}{query}'", "would be a part of the host"),
            ("redirect: '///a'", "has no host"),
            ("redirect: 'https://{query}'", "would be a part of the host"),
            ("redirect: 'https://{query}/'", "would be a part of the host"),
            ("redirect: 'https://x{query}'", "would be a part of the host"),
            ("redirect: 'https://x:{query}/'", "would be a part of the host"),
            ("redirect: 'https://{host}{query}'", "would be a part of the host"),
            ("redirect: 'https://{path}'", "has no host"),
            ("redirect: 'https://{target}'", "has no host"),
            ("redirect: 'https:///{host}'", "has no host"),
            ("redirect: 'https:{target}'", "write //host behind the scheme"),
            ("redirect: 'https:/{host}'", "write //host behind the scheme"),
            ("redirect: 'javascript:{query}'", "write //host behind the scheme"),
            ("redirect: 'app://{path}'", "has no host"),
            ("redirect: '{query}'", "write a whole URL"),
            ("redirect: '{host}/a'", "write a whole URL"),
            (r"redirect: '/\a'", "browsers read a backslash as a slash"),
            (r"redirect: 'https:\{host}'", "browsers read a backslash as a slash"),
            ("upstream: app, methods: [get]", "did you mean GET?"),
            ("upstream: app, methods: [CONNECT]", "this is no forward proxy"),
            ("upstream: app, methods: [PRI]", "this is no forward proxy"),
            ("upstream: app, methods: ['A B']", "is not a method: one each, as in [GET, POST]"),
            ("upstream: app, methods: ['GET, POST']", "is not a method: one each, as in [GET, POST]"),
            ("upstream: app, methods: [" + "A" * 33 + "]", "a method has 32 characters at most"),
            ("upstream: app, methods: ['*']", "leave methods out for all of them"),
            ("upstream: app, methods: [GET, '']", "must not be empty"),
            ("upstream: app, methods: []", "must not be empty"),
            ("upstream: app, methods: GET", "expected a list"),
            ("upstream: app, methods: [5]", "expected text"),
            ("redirect: {url: /, status: 200}", "200 is not one of 301, 302, 303, 307, 308"),
            ("respond: {status: 100}", "100 is less than the least allowed, 200"),
            ("respond: {status: 204, body: x}", "an answer 204 has no body"),
            ("respond: {headers: {'a b': x}}", "is not the name of a header field"),
            ("respond: {headers: {Content-Length: 5}}", "Content-Length is set by the edge itself"),
            ("respond: {headers: {HTTP2-Settings: 5}}", "HTTP2-Settings is set by the edge itself"),
            (r'respond: {headers: {A: "x\ty"}}', "characters that a header field cannot carry"),
            (r'respond: {headers: {A: "x\r\ny"}}', "characters that a header field cannot carry"),
            ("static: ./nope", "there is no folder"),
            ("static: ca.pem", "there is no folder"),
            (r'static: "a\0b"', "a path has no NUL"),
            ("resource: nodots", "is no dotted name"),
            ("respond: {}, strip_prefix: true", "has no effect with respond"),
            ("upstream: app, plugins: {Bad_Name: true}", "lower-case letters, digits and hyphens only"),
            ("upstream: app, plugins: {x: 5}", "expected true or false or a mapping, not 5"),
            ("upstream: app, plugins: {x: }", "expected true or false or a mapping, not null"),
        ):
            messages = self.refused(START + f"routes: [{{{route}}}]")
            self.assertEqual(len(messages), 1, messages)
            self.assertTrue(messages[0].startswith("r.yaml:3:"), messages)
            self.assertIn(part, messages[0])
