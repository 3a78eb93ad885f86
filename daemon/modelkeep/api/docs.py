"""`/docs`: Swagger UI as a package of this machine ships it; the browser may fetch nothing from elsewhere."""

import hashlib
import re
from base64 import b64encode

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"

_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def add_docs(app: FastAPI) -> None:
    """Have an application describe itself at `/docs`."""
    assets = StaticFiles(packages=[("fastapi_offline", "static")])
    page = get_swagger_ui_html(
        openapi_url=str(app.openapi_url),
        title=f"{app.title} {app.version}",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
        swagger_ui_parameters={"validatorUrl": None},  # which is elsewhere
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))

    async def docs() -> HTMLResponse:
        return page

    app.add_api_route("/docs", docs, include_in_schema=False, response_class=HTMLResponse)
    app.mount(ASSETS, assets, name="docs")


def _policy(page: bytes) -> str:
    """Return what a browser may load for a page: what this server has, and the scripts that stand in the page."""
    digests = (b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page))
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in digests)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
