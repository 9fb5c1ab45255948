"""The page of an error."""

from fastapi import Request
from starlette.responses import Response

from lookalike.web.problems import Problem
from lookalike.web.views.rendering import is_fragment, page


def failed_page(request: Request, problem: Problem) -> Response:
    """Return the page that tells of a problem; for htmx, only the part that it shows."""
    template = "failed-part.html" if is_fragment(request) else "failed.html"
    return page(request, template, status=problem.status, headers=problem.headers, problem=problem)
