"""The pages before the pages of a shared dashboard: one that keeps the token, and one that asks for a nickname.

They are plain HTML without a script: nobody who has no seat gets a session of Streamlit's.
"""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from core.classroom.learners import Class
from core.classroom.nicknames import LONGEST
from core.errors import UserError
from core.text.escaping import UserText
from dashboard.classroom.slow import Slow, client_of

JOIN = "/class/join"
MOST_BYTES = 2**16  # of the form
RETURNING = ("nickname_taken", "wrong_code")  # after these the form also asks for a code
YEAR = 365 * 24 * 3600  # seconds
PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
{refresh}<title>Condenser</title>
<style>
:root {{ color-scheme: light dark; --ink: #0E1217; --ground: #FFFFFF; --line: #767F89; --key: #0072B2; --on: #FFFFFF;
--wrong: #B84A00 }}
@media (prefers-color-scheme: dark) {{
:root {{ --ink: #E6EAF0; --ground: #12161C; --line: #8A96A3; --key: #56B4E9; --on: #12161C; --wrong: #FF8A50 }} }}
body {{ margin: 0; font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans CJK SC', sans-serif;
color: var(--ink); background: var(--ground) }}
main {{ max-width: 26rem; margin: 12vh auto 0; padding: 0 1.25rem }}
h1 {{ font-size: 1.6rem; font-weight: 600 }}
input, button {{ font: inherit; padding: .55rem .75rem; border-radius: .3rem; border: 1px solid var(--line);
box-sizing: border-box; width: 100% }}
input {{ background: var(--ground); color: var(--ink); margin: .25rem 0 .9rem }}
button {{ background: var(--key); color: var(--on); border-color: var(--key); font-weight: 600; cursor: pointer }}
a {{ color: inherit }}
[role=alert] {{ color: var(--wrong) }}
</style></head><body><main>
<h1>{title}</h1>
{body}
</main></body></html>
"""
FORM = """<p>{words}</p>
{wrong}<form method="post" action="{path}">
<label for="nickname">{label}</label>
<input id="nickname" name="nickname" maxlength="{longest}" required autocomplete="off" value="{given}" autofocus>
{code}<button type="submit">{enter}</button>
</form>
"""
CODE = """<label for="code">{label}</label>
<input id="code" name="code" maxlength="40" autocomplete="off" autocapitalize="none" spellcheck="false">
"""


class Door:
    """Answers in place of Streamlit for who has a token and no seat yet."""

    def __init__(self, members: Class, cookie: str, slow: Slow) -> None:
        self.members = members
        self.cookie = cookie
        self.slow = slow

    def opening(self, target: str) -> Response:
        """A page that goes on to `target`, an address of ours."""
        link = escape(target, quote=True)
        body = f'<p><a href="{link}">Condenser →</a></p>'
        refresh = f'<meta http-equiv="refresh" content="0;url={link}">\n'
        return _html(PAGE.format(language="en", title="Condenser", refresh=refresh, body=body))

    async def join(self, request: Request) -> Response:
        """The question for a nickname, and its answer: a corner, and the cookie that opens it."""
        if request.method in ("GET", "HEAD"):
            return self._form(request)
        if request.method != "POST":
            return PlainTextResponse("This address does not take that method.\n", 405)
        data = await _body(request)
        if data is None:
            return self._form(request, "form_too_large", status=413)
        try:
            fields = parse_qs(data.decode("utf-8", "replace"), max_num_fields=10)
        except ValueError:
            fields = {}
        given, code = (fields.get(name, [""])[0] for name in ("nickname", "code"))
        try:
            joined = self.members.come_back(given, code) if code else self.members.join(given)
        except UserError as error:
            if error.code == "wrong_code":
                await self.slow.wrong(client_of(request))
            return self._form(request, error.code, given, status=422)
        answer = self.opening("/")
        answer.set_cookie(self.cookie, joined.secret, max_age=YEAR, path="/", httponly=True, samesite="strict")
        return answer

    def notice(self, connection: HTTPConnection, what: str, most: int) -> Response:
        """A page that says why no other page is shown."""
        told = _phrase(connection, what).format(most=most)
        page = PAGE.format(language=_language(connection), title="Condenser", refresh="", body=f"<p>{escape(told)}</p>")
        return _html(page, 429)

    def _form(self, request: Request, wrong: str = "", given: str = "", status: int = 200) -> Response:
        told = f'<p role="alert">{escape(_phrase(request, wrong))}</p>\n' if wrong else ""
        body = FORM.format(
            words=escape(_phrase(request, "join_words")),
            wrong=told,
            path=JOIN,
            label=escape(_phrase(request, "nickname")),
            longest=LONGEST,
            given=UserText(given[:LONGEST]).html(),
            code=CODE.format(label=escape(_phrase(request, "code_field"))) if wrong in RETURNING else "",
            enter=escape(_phrase(request, "enter")),
        )
        title = escape(_phrase(request, "join_title"))
        return _html(PAGE.format(language=_language(request), title=title, refresh="", body=body), status)


def _html(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, {"Cache-Control": "no-store"})


async def _body(request: Request) -> bytes | None:
    """The form as it was sent; None if it is larger than any of ours."""
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > MOST_BYTES:
            return None
    return data


def _phrase(connection: HTTPConnection, name: str) -> str:
    from dashboard.i18n import phrase  # here, that the server starts sooner

    return phrase(f"classroom.{name}", "zh" if _language(connection) == "zh" else "en")


def _language(connection: HTTPConnection) -> str:
    """The language that the browser asks for first, of the two there are."""
    return "zh" if connection.headers.get("accept-language", "").strip().lower().startswith("zh") else "en"
