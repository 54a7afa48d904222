# SPDX-License-Identifier: MIT
"""
The same raw bytes to this server and to nginx: where the answers differ, a reason stands here.

    differential.py ACCEPT-SERVER [NGINX]

Each case is what RFC 9112 and RFC 9110 have a rule for. Compared are the statuses, in order, and whether the
connection is ended behind the last. Exits 77, with the reason, where there is no nginx: it is looked for in the
PATH and where scripts/setup --peers puts it.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from harness import Failure, Server, check, main

BINARY = sys.argv[1]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLACES = os.pathsep.join([os.environ.get("PATH", ""), os.path.join(ROOT, "build/deps/peers/bin"), "/usr/sbin"])
QUIET_S = 1.0  # a connection that says nothing for so long will say nothing more

H = "Host: x\r\n"


def cases():
    """Name and bytes of each."""
    def request(line="GET / HTTP/1.1", fields=H, body=""):
        return f"{line}\r\n{fields}\r\n{body}"

    yield "GET", request()
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW", "get", "GETS", "GE", "G?T", "",
                   "G\x01T", "GET\t", "PROPFIND", "A" * 70, "GET,POST", "GET:", "\"GET\""):
        yield f"method {method[:8]!r}", request(f"{method} / HTTP/1.1")
    yield "CONNECT", request("CONNECT x:80 HTTP/1.1")
    for target in ("/a", "/a/b?c=d", "//", "/%2f", "/%zz", "/%", "/a#b", "/a\x7f", "/\x01", "/\x80", "/\xe4", "*", "abc",
                   "abc:80", "?x", "http://x/", "http://x", "HTTP://X/", "http://x:80/", "http://x:8x/", "http:///a",
                   "http:", "http:/", "http:/x", "ftp://x/", "1http://x/", "http://[::1]/", "http://u@x/", "/a b",
                   "/\"", "/<>", "/\\", "/..", "/../..", "/./", "", "/\t", "/" + "a" * 4000, "/" + "a" * 7900,
                   "/" + "a" * 20000):
        yield f"target {target[:20]!r} of {len(target)}", request(f"GET {target} HTTP/1.1")
    yield "OPTIONS of an asterisk", request("OPTIONS * HTTP/1.1")
    yield "OPTIONS of more than an asterisk", request("OPTIONS *a HTTP/1.1")
    for version in ("HTTP/1.0", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/1", "HTTP/1.", "HTTP/1.10",
                    "HTTP/10.1", "HTTP/01.1", "http/1.1", "HTTP1.1", "HTTP/1,1", "HTTPS/1.1", "HTTP/1.1 ", "HTTP /1.1",
                    "HTTP/+1.1", "HTTP/1.1x", ""):
        yield f"version {version!r}", request(f"GET / {version}")
    yield "no version", "GET /\r\n\r\n"
    yield "two spaces before the target", request("GET  / HTTP/1.1")
    yield "two spaces behind the target", request("GET /  HTTP/1.1")
    yield "space before the method", request(" GET / HTTP/1.1")
    yield "tab for a space", request("GET\t/\tHTTP/1.1")
    yield "empty line before", "\r\n" + request()
    yield "three empty lines before", "\r\n\r\n\r\n" + request()
    yield "LF before", "\n" + request()
    yield "bare LF behind the request line", "GET / HTTP/1.1\n" + H + "\r\n"
    yield "bare LF behind a field", "GET / HTTP/1.1\r\nHost: x\n\r\n"
    yield "bare LF for the empty line", "GET / HTTP/1.1\r\n" + H + "\n"
    yield "bare LF everywhere", "GET / HTTP/1.1\nHost: x\n\n"
    yield "bare CR behind the request line", "GET / HTTP/1.1\r" + H + "\r\n"
    yield "CR CR LF behind the request line", "GET / HTTP/1.1\r\r\n" + H + "\r\n"
    yield "CR CR LF behind a field", "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"
    yield "CR in a value", request(fields=H + "A: b\rc\r\n")
    yield "NUL in a value", request(fields=H + "A: b\0c\r\n")
    yield "control byte in a value", request(fields=H + "A: b\x01c\r\n")
    yield "DEL in a value", request(fields=H + "A: b\x7fc\r\n")
    yield "tab in a value", request(fields=H + "A: b\tc\r\n")
    yield "obs-text in a value", request(fields=H + "A: \xe4\r\n")
    yield "empty value", request(fields=H + "A:\r\n")
    yield "spaces around a value", request(fields="Host: \t x \t \r\n")
    yield "no space before a value", request(fields="Host:x\r\n")
    yield "space before the colon", request(fields=H + "A : b\r\n")
    yield "tab before the colon", request(fields=H + "A\t: b\r\n")
    yield "space before the colon of Host", request(fields="Host : x\r\n")
    yield "no colon", request(fields=H + "A\r\n")
    yield "no name", request(fields=H + ": b\r\n")
    yield "space in a name", request(fields=H + "A b: c\r\n")
    yield "quotes in a name", request(fields=H + "\"A\": b\r\n")
    yield "slash in a name", request(fields=H + "A/B: c\r\n")
    yield "parenthesis in a name", request(fields=H + "A(: c\r\n")
    yield "NUL in a name", request(fields=H + "A\0B: c\r\n")
    yield "obs-text in a name", request(fields=H + "\xe4: c\r\n")
    yield "underscore in a name", request(fields=H + "A_B: c\r\n")
    yield "signs of a token in a name", request(fields=H + "!#$%&'*+-.^`|~: c\r\n")
    yield "fold", request(fields=H + "A: b\r\n c\r\n")
    yield "fold with a tab", request(fields=H + "A: b\r\n\tc\r\n")
    yield "fold of the first field", request(fields=" A: b\r\n" + H)
    yield "line of a space", request(fields=H + " \r\n")
    yield "no Host", request(fields="")
    yield "no Host, HTTP/1.0", request("GET / HTTP/1.0", fields="")
    yield "two Hosts", request(fields=H + H)
    yield "two Hosts that differ", request(fields=H + "Host: y\r\n")
    yield "two Hosts, HTTP/1.0", request("GET / HTTP/1.0", fields=H + H)
    yield "HOST in capitals", request(fields="HOST: x\r\n")
    for host in ("", "a.b", "A-b_c~1", "127.0.0.1", "127.0.0.1:80", "x:", "x:80", "[::1]", "[::1]:80", "a/b", "u@b", "a,b",
                 "a:b", "a:80:80", ":80", "[::1", "[::1]x", "a b", "a%2fb", "a%zz", "a\\b", "a?b", "a#b", "<a>", "\xe4",
                 "a\0b", "..", "a..b", "x.", "a;b", "a=b", "a" * 300):
        yield f"Host {host[:12]!r} of {len(host)}", request(fields=f"Host: {host}\r\n")
    for length in ("0", "3", "03", "0003", "+3", "-3", "3 ", "3,3", "3, 3", "3 3", "0x3", "3.0", "3e0", "", "abc", "3a",
                   "18446744073709551616", "18446744073709551619", "9" * 40, "\"3\"", "99999999", ",3", "3;"):
        yield f"length {length!r}", request("POST / HTTP/1.1", H + f"Content-Length: {length}\r\n", "abc")
    yield "two equal lengths", request("POST / HTTP/1.1", H + "Content-Length: 3\r\n" * 2, "abc")
    yield "two lengths", request("POST / HTTP/1.1", H + "Content-Length: 3\r\nContent-Length: 4\r\n", "abcd")
    yield "length and a space before the colon", request("POST / HTTP/1.1", H + "Content-Length : 3\r\n", "abc")
    yield "POST without a length", request("POST / HTTP/1.1")
    yield "GET with a body", request(fields=H + "Content-Length: 3\r\n", body="abc")
    yield "HEAD with a body", request("HEAD / HTTP/1.1", H + "Content-Length: 3\r\n", "abc")
    yield "half a body", request("POST / HTTP/1.1", H + "Content-Length: 3\r\n", "ab")
    yield "body and a request", request("POST / HTTP/1.1", H + "Content-Length: 3\r\n", "abc" + request())
    yield "body that is a request", request("POST / HTTP/1.1", H + f"Content-Length: {len(request())}\r\n", request())
    chunk = "3\r\nabc\r\n0\r\n\r\n"
    for coding in ("chunked", "CHUNKED", "identity", "gzip", "gzip, chunked", "chunked, chunked", "chunked, gzip", "",
                   "xchunked", "chunkedx", "\"chunked\"", "chunked;a=b", "chunked,", ",chunked", "\x0bchunked"):
        yield f"coding {coding!r}", request("POST / HTTP/1.1", H + f"Transfer-Encoding: {coding}\r\n", chunk)
    yield "chunked in HTTP/1.0", request("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", chunk)
    yield "chunked and a length", request("POST / HTTP/1.1", H + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", chunk)
    yield "a length and chunked", request("POST / HTTP/1.1", H + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", chunk)
    yield "two codings", request("POST / HTTP/1.1", H + "Transfer-Encoding: chunked\r\n" * 2, chunk)
    yield "space before the colon of a coding", request("POST / HTTP/1.1", H + "Transfer-Encoding : chunked\r\n", chunk)
    for connection in ("close", "CLOSE", "keep-alive", "close, keep-alive", "keep-alive, close", "closed", "clo se", "a, close",
                       "", ",close", "upgrade", "close\t"):
        yield f"connection {connection!r}", request(fields=H + f"Connection: {connection}\r\n")
    yield "keep-alive, HTTP/1.0", request("GET / HTTP/1.0", "Connection: keep-alive\r\n")
    yield "close, HTTP/1.0", request("GET / HTTP/1.0", "Connection: close\r\n")
    yield "two connections", request(fields=H + "Connection: keep-alive\r\nConnection: close\r\n")
    yield "expects", request("POST / HTTP/1.1", H + "Expect: 100-continue\r\nContent-Length: 3\r\n", "abc")
    yield "expects in capitals", request("POST / HTTP/1.1", H + "Expect: 100-CONTINUE\r\nContent-Length: 3\r\n", "abc")
    yield "expects something else", request(fields=H + "Expect: x\r\n")
    yield "expects, HTTP/1.0", request("POST / HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 3\r\n", "abc")
    yield "two requests", request() * 2
    yield "HEAD and GET", request("HEAD / HTTP/1.1") + request()
    yield "ten requests", request() * 10
    yield "a request behind close", request(fields=H + "Connection: close\r\n") + request()
    yield "a request behind a bad one", request(fields="") + request()
    yield "nonsense behind a request", request() + "nonsense\r\n\r\n"
    yield "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield "a hello of TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n"
    yield "a field of 4 KB", request(fields=H + "A: " + "b" * 4000 + "\r\n")
    yield "a field of 15 KB", request(fields=H + "A: " + "b" * 15000 + "\r\n")
    yield "a field of 40 KB", request(fields=H + "A: " + "b" * 40000 + "\r\n")
    yield "300 fields", request(fields=H + "A: b\r\n" * 300)
    yield "60 KB of fields", request(fields=H + ("A: " + "b" * 995 + "\r\n") * 60)
    yield "half a request line", "GET / HT"
    yield "half a header", "GET / HTTP/1.1\r\n" + H


# Where the two differ: the reason, the cases, and what this server answers.
REASONS = (
    ("a method that is known and not served gets 405, an unknown one 501 (RFC 9110, 9.1); nginx's `return` "
     'answers any',
     '405 end',
     ("method 'PUT'", "method 'DELETE'", "method 'OPTIONS'", 'CONNECT', 'OPTIONS of an asterisk')),
    ("a method that is known and not served gets 405, an unknown one 501 (RFC 9110, 9.1); nginx's `return` "
     'answers any',
     '501 end',
     ("method 'PATCH'", "method 'BREW'", "method 'get'", "method 'GETS'", "method 'GE'", "method 'PROPFIND'",
      "method 'AAAAAAAA'", 'the preface of HTTP/2')),
    ('the path is not looked at: nothing is decoded or joined, so nothing can be wrong with it',
     '200',
     ("target '/%zz' of 4", "target '/%' of 2", "target '/..' of 3", "target '/../..' of 6")),
    ('a host in the target is not looked at: there is one site',
     '200',
     ("target 'http://x:8x/' of 12", "target 'http://u@x/' of 11")),
    ('a target has no byte beyond ASCII (RFC 3986, 2)',
     '400 end',
     ("target '/\\x80' of 2", "target '/ä' of 2")),
    ('a version is one digit, a dot and one digit, and a request line has one (RFC 9112, 2.3 and 3); another '
     'major is 505',
     '505 end',
     ("version 'HTTP/0.9'",)),
    ('a version is one digit, a dot and one digit, and a request line has one (RFC 9112, 2.3 and 3); another '
     'major is 505',
     '400 end',
     ("version 'HTTP/1.10'", "version 'HTTP/10.1'", "version 'HTTP/1.1 '", "version ''", 'no version')),
    ('a single space separates the parts of a request line (RFC 9112, 3 allows to be lenient, and warns of it)',
     '400 end',
     ('two spaces before the target', 'two spaces behind the target')),
    ('a line ends with CRLF (RFC 9112, 2.2 allows to take a bare LF; where two parsers differ in it, requests '
     'are smuggled)',
     '400 end',
     ('LF before', 'bare LF behind the request line', 'bare LF behind a field', 'bare LF for the empty line',
      'bare LF everywhere', 'CR CR LF behind a field')),
    ('a value has no control bytes, a name none but those of a token (RFC 9110, 5.1 and 5.5)',
     '400 end',
     ('control byte in a value', 'DEL in a value', 'no colon', 'quotes in a name', 'slash in a name',
      'parenthesis in a name', 'obs-text in a name')),
    ('tabs may stand around a value (RFC 9110, 5.5)',
     '200',
     ('spaces around a value',)),
    ('Host may be empty (RFC 9110, 7.2)',
     '200',
     ("Host '' of 0",)),
    ('a name of dots is a name by RFC 3986; it is compared with nothing',
     '200',
     ("Host '..' of 2", "Host 'a..b' of 4")),
    ('Host is a host and perhaps a port, or 400 (RFC 9112, 3.2); a comma is what two joined Hosts have',
     '400 end',
     ("Host 'u@b' of 3", "Host 'a,b' of 3", "Host 'a:b' of 3", "Host 'a:80:80' of 7", "Host '[::1' of 4",
      "Host '[::1]x' of 6", "Host 'a%zz' of 4", "Host 'a\\\\b' of 3", "Host 'a?b' of 3", "Host 'a#b' of 3",
      "Host '<a>' of 3", "Host 'ä' of 1")),
    ('what follows the body in this case is an incomplete request, as far as it goes',
     '200',
     ("length '0'",)),
    ('a length that is a number, however large, is too large: 413, and the connection is ended',
     '413 end',
     ("length '18446744073709551616'", "length '18446744073709551619'",
      "length '9999999999999999999999999999999999999999'", "length '99999999'")),
    ('the answer waits for the whole body',
     '',
     ('half a body',)),
    ('chunked bodies are not implemented: 501 (RFC 9112, 6.1); nor is any other coding',
     '501 end',
     ("coding 'chunked'", "coding 'CHUNKED'", 'two codings')),
    ('a vertical tab is no space: 400',
     '400 end',
     ("coding '\\x0bchunked'",)),
    ('only the word close closes (RFC 9110, 7.6.1)',
     '200',
     ("connection 'closed'",)),
    ('a header that is too long is 431 (RFC 6585, 5)',
     '431 end',
     ('a field of 40 KB', '60 KB of fields')),
)


class Client:
    def __init__(self, address, data):
        self.socket = socket.create_connection(address, timeout=20)
        self.out, self.back, self.ended = data, b"", False
        self.socket.setblocking(False)
        self.heard = time.monotonic()

    def go_on(self):
        """Sends and receives what goes without waiting."""
        try:
            while self.out:
                self.out = self.out[self.socket.send(self.out):]
        except BlockingIOError:
            pass
        except ConnectionError:
            self.out = b""
        try:
            while not self.ended:
                more = self.socket.recv(65536)
                self.back += more
                self.ended = not more
                self.heard = time.monotonic()
        except BlockingIOError:
            pass
        except ConnectionError:
            self.ended = True

    def outcome(self):
        """The statuses in order, and "end" if the connection was ended."""
        rest, words = self.back, []
        while rest:
            head, found, behind = rest.partition(b"\r\n\r\n")
            if not (head.startswith(b"HTTP/1.") and found):
                words.append("bytes")  # an answer of HTTP/0.9
                break
            words.append(head.split()[1].decode())
            fields = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
            length = [int(value) for name, _, value in fields if name.lower() == b"content-length"]
            # The answer to HEAD has a length and no body: then the next answer follows at once.
            body = 0 if behind.startswith(b"HTTP/1.") else min(length[0] if length else 0, len(behind))
            rest = behind[body:]
        return " ".join(words + ["end"] * self.ended)


def outcomes(address, requests):
    clients = [Client(address, text.encode("latin-1")) for text in requests]
    pending = clients
    end = time.monotonic() + 60
    while pending and time.monotonic() < end:
        select.select([c.socket for c in pending if not c.ended], [c.socket for c in pending if c.out], [], 0.05)
        for c in pending:
            c.go_on()
        pending = [c for c in pending if not c.ended and (c.out or time.monotonic() - c.heard < QUIET_S)]
    for c in clients:
        c.socket.close()
    return [c.outcome() for c in clients]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    """With the same limits, and an answer to everything."""

    def __init__(self, program, folder):
        self.address = ("127.0.0.1", free_port())
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"""daemon off; pid {folder}/pid; error_log stderr crit; worker_processes 1;
events {{ worker_connections 1000; }}
http {{
	access_log off; client_header_buffer_size 16k; large_client_header_buffers 1 16k;
	client_max_body_size 1m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
	server {{
		listen 127.0.0.1:{self.address[1]}; server_name x;
		location / {{ default_type text/plain; return 200 "hello, world\\n"; }}
	}}
}}
""")
        self.process = subprocess.Popen([program, "-p", folder, "-c", config], stderr=subprocess.PIPE, start_new_session=True)
        for _ in range(200):
            try:
                socket.create_connection(self.address, timeout=5).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        self.process.kill()
        raise Failure(f"nginx does not start: {self.process.communicate()[1].decode()}")

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.communicate(timeout=20)


def reasons():
    """By case: the reason, and what this server answers."""
    return {name: (reason, answer) for reason, answer, names in REASONS for name in names}


def test_differences():
    names, requests = zip(*cases())
    check(len(set(names)) == len(names) >= 150, f"{len(names)} cases")
    with Server(BINARY, "--accept", "auto", "--workers", "1") as s:
        ours = outcomes(s.address, requests)
    with tempfile.TemporaryDirectory() as folder:
        nginx = Nginx(NGINX, folder)
        theirs = outcomes(nginx.address, requests)
        nginx.end()
    known, wrong, differing = reasons(), [], 0
    check(set(known) <= set(names), f"reasons for no case: {set(known) - set(names)}")
    for name, our, their in zip(names, ours, theirs):
        reason, answer = known.get(name, (None, their))
        if our != answer:
            wrong.append(f"{name}: {our or 'nothing'} here, {their or 'nothing'} from nginx")
        if our != their:
            differing += 1
            print(f"{name}: {our or 'nothing'} here, {their or 'nothing'} from nginx: {reason or 'NO REASON'}")
    print(f"{len(names)} requests, {differing} answered otherwise")
    check(not wrong, "; ".join(wrong))


NGINX = sys.argv[2] if len(sys.argv) > 2 else shutil.which("nginx", path=PLACES)
if not NGINX:
    print("there is no nginx to compare with: scripts/setup --peers fetches one")
    sys.exit(77)
main([test_differences])
