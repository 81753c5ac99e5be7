"""A check of our own beside those of schemathesis: what keeps to the schema is refused only for what no schema says."""

import schemathesis

# What depends on what there is, on the time, or on what another member says. The member's name, whatever the place
# in its list.
BEYOND_A_SCHEMA = {
    # Ids and names of things that are there, and belong together.
    "accounts", "sources", "from",
    # It may be left out as long as there is one only.
    "app",
    # What each platform needs to know is checked by its adapter.
    "settings",
    # A secret has the form of the endpoint's format; a source holds a bounded number of them.
    "secret", "secrets",
    # https, unless `allow_http`; a host and a port that exist: 1.2.3.999, :99999.
    "url",
    # What is ours or another's, and `..`.
    "path",
    # 192.0.2.1/33 looks like a network.
    "allowed_networks",
    # No wait is longer than a year, whatever its unit.
    "retry",
    # Names of headers that deliveries have anyway; what HTTP allows in one.
    "headers",
    # It is still to come.
    "expires_at",
}
# Refusals that look at more than the request: the key's first use, the platform's rules, the contact's last words.
BY_CIRCUMSTANCES = {"key_reused", "unsupported", "window_closed"}


@schemathesis.check
def refused_for_what_no_schema_says(ctx, response, case):
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    if problem["code"] in BY_CIRCUMSTANCES:
        return
    wrong = problem.get("errors", [])
    assert wrong, f"refused without a member that is wrong: {problem['detail']}"
    for error in wrong:
        # JSON Schema takes 1.0 for an integer; we do not, and nobody writes one so.
        if error["detail"].startswith("invalid type: floating point"):
            continue
        member = error["pointer"].split("/")[1]
        assert member in BEYOND_A_SCHEMA, f"the schema allows {error['pointer']}, the API wants {error['detail']}"
