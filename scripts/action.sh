#!/usr/bin/env bash
# The steps of action.yml: `run` draws and checks, `comment` posts the summary on the pull request. Inputs come from
# the environment; flags are split at white space, without shell quoting.
set -euo pipefail

# First line of the comment, so that the next run finds and updates it.
MARK='<!-- entropy-viz -->'

run() {
    local -a auto check
    read -r -a auto <<<"$INPUT_AUTO_ARGS"
    read -r -a check <<<"$INPUT_CHECK_ARGS"
    # The ${array[@]+…} form: bash 3.2 of macOS calls an empty array unbound.
    entropy-viz auto "$INPUT_PATH" ${auto[@]+"${auto[@]}"} --artifacts "$INPUT_OUTPUT"

    if [ -n "$INPUT_BASELINE" ] && [ -f "$INPUT_BASELINE" ]; then
        check+=(--no-worse-than "$INPUT_BASELINE")
    fi
    local code=0
    # Replaces the junit.xml of `auto` by one with the rules of check-args.
    entropy-viz check "$INPUT_PATH" ${check[@]+"${check[@]}"} --junit "$INPUT_OUTPUT/junit.xml" || code=$?
    [ "$code" -le 1 ] || exit "$code" # input unreadable or read only in part: no verdict
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
