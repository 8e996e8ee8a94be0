"""The headers that no answer goes without; those of OWASP's REST cheat sheet that mean something for this API."""

from __future__ import annotations

from flask import Response

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    # The CSP says the same to browsers that know it.
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""For answers that are no page; the page has its own."""
STRICT_TRANSPORT_SECURITY = "max-age=31536000"


def add(response: Response, *, is_secure: bool) -> None:
    """Add the headers to *response*.

    Args:
        response: What is about to be sent.
        is_secure: Whether it goes out over TLS, which only a trusted proxy can say. RFC 6797, 7.2 forbids the header
            otherwise.
    """
    for name, value in _ALWAYS.items():
        response.headers[name] = value
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    if is_secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
