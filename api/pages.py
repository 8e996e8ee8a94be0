"""What the HTML pages of the API have in common: their own style, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib


def content_security_policy(style: str) -> str:
    """Return the policy of a page whose only resource is its style element.

    Args:
        style: The text of that element, to the letter.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
