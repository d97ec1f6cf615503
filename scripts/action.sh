#!/usr/bin/env bash
# The steps of action.yml: `run` draws and checks, `comment` says it on the pull request. Inputs come through
# the environment; flags are split at white space, as in a shell without quotes.
set -euo pipefail

# The comment that is ours begins with this, so that the next run finds it.
MARK='<!-- entropy-viz -->'

run() {
    local -a auto check
    read -r -a auto <<<"$INPUT_AUTO_ARGS"
    read -r -a check <<<"$INPUT_CHECK_ARGS"
    entropy-viz auto "$INPUT_PATH" "${auto[@]}" --artifacts "$INPUT_OUTPUT"

    if [ -n "$INPUT_BASELINE" ] && [ -f "$INPUT_BASELINE" ]; then
        check+=(--no-worse-than "$INPUT_BASELINE")
    fi
    local code=0
    # Its junit.xml has the rules that were asked for, and takes the place of auto's.
    entropy-viz check "$INPUT_PATH" "${check[@]}" --junit "$INPUT_OUTPUT/junit.xml" || code=$?
    [ "$code" -le 1 ] || exit "$code" # not read, or only in part: no verdict
    local failures
    failures=$(grep -o -m 1 'failures="[0-9]*"' "$INPUT_OUTPUT/junit.xml")
    echo "violations=$(tr -dc '0-9' <<<"$failures")" >>"$GITHUB_OUTPUT"
}

comment() {
    local body id
    body=$(printf '%s\n' "$MARK" "$(cat "$INPUT_OUTPUT/summary.md")")
    id=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" \
        --jq ".[] | select(.body | startswith(\"$MARK\")) | .id" | head -n 1)
    if [ -n "$id" ]; then
        gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -f body="$body" --silent
    else
        gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" -f body="$body" --silent
    fi
}

case ${1:-} in
run) run ;;
comment) comment ;;
*)
    echo "usage: action.sh run|comment" >&2
    exit 2
    ;;
esac
