"""An example caller. The README shows the marked lines."""

# README
from magic_links import Client
from magic_links.api.sign_in import send_magic_link
from magic_links.models import ApiError, MagicLinkRequest

# end


def ask(email: str) -> None:
    # README
    body = MagicLinkRequest(email=email, callback_origin="https://portal.example.com")
    answer = send_magic_link.sync_detailed(client=Client("https://api.example.com/api"), body=body)
    if isinstance(answer.parsed, ApiError):
        print(answer.parsed.code, answer.parsed.issues, answer.headers.get("Retry-After"))
    # end
