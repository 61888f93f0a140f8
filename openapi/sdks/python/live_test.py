"""Tests the generated Python client against a live api. `just sdk-test` runs it."""

import os
import unittest

from magic_links import Client
from magic_links.api.sign_in import send_magic_link
from magic_links.models import ApiError, ErrorCode, MagicLinkAccepted, MagicLinkRequest
from magic_links.types import Response


def ask(
    email: str, page: str = "example", api: str = "API_URL"
) -> Response[ApiError | MagicLinkAccepted]:
    body = MagicLinkRequest(
        email=email, callback_origin="https://example.com", callback_next=page
    )
    return send_magic_link.sync_detailed(client=Client(os.environ[api]), body=body)


class Live(unittest.TestCase):
    def refusal(self, answer: Response[ApiError | MagicLinkAccepted]) -> ApiError:
        assert isinstance(answer.parsed, ApiError), answer
        return answer.parsed

    def test_200_the_published_example(self) -> None:
        answer = ask("python@example.com")
        self.assertEqual(answer.status_code, 200)
        assert isinstance(answer.parsed, MagicLinkAccepted)
        self.assertIs(answer.parsed.ok, True)

    def test_400_the_code_the_field_errors_and_all_issues(self) -> None:
        answer = ask("no-address", "//elsewhere.example")
        self.assertEqual(answer.status_code, 400)
        error = self.refusal(answer)
        self.assertIs(error.code, ErrorCode.INVALID_REQUEST)
        assert error.field_errors
        self.assertIn("name@example.com", error.field_errors["email"])
        assert error.issues
        self.assertEqual(
            sorted(issue.path for issue in error.issues), ["callback_next", "email"]
        )

    def test_429_seconds_to_wait_in_the_body_and_in_the_header(self) -> None:
        answers = (ask("python-often@example.com", f"page-{page}") for page in range(10))
        answer = next(answer for answer in answers if answer.status_code != 200)
        self.assertEqual(answer.status_code, 429)
        error = self.refusal(answer)
        self.assertIs(error.code, ErrorCode.RECIPIENT_RATE_LIMITED)
        assert error.retry_after
        self.assertGreaterEqual(error.retry_after, 1)
        self.assertEqual(float(answer.headers["Retry-After"]), error.retry_after)

    def test_503_the_database_is_down(self) -> None:
        answer = ask("python@example.com", api="API_WITHOUT_DATABASE_URL")
        self.assertEqual(answer.status_code, 503)
        error = self.refusal(answer)
        self.assertIs(error.code, ErrorCode.UNAVAILABLE)
        assert error.retry_after
        self.assertGreaterEqual(error.retry_after, 1)
        self.assertEqual(float(answer.headers["Retry-After"]), error.retry_after)


if __name__ == "__main__":
    unittest.main(verbosity=2)
