#!/usr/bin/env bash
# The steps of action.yml: `run` draws and checks, `comment` posts the summary on the pull request. Inputs come from
# the environment; flags are split at white space and line ends, without shell quoting.
set -euo pipefail

# First line of the comment, so that the next run finds and updates it.
MARK='<!-- entropy-viz -->'

run() {
    local -a auto check
    # With -d '' all lines are read; `read` then ends with code 1 at the end of the text.
    read -r -d '' -a auto <<<"$INPUT_AUTO_ARGS" || true
    read -r -d '' -a check <<<"$INPUT_CHECK_ARGS" || true
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

# Prints the text of the comment. GitHub takes 65,536 characters: a longer summary is cut at the end of a line.
body() {
    local limit=60000 size
    printf '%s\n' "$MARK"
    size=$(wc -c <"$INPUT_OUTPUT/summary.md")
    if [ "$size" -le "$limit" ]; then
        cat "$INPUT_OUTPUT/summary.md"
    else
        head -c "$limit" "$INPUT_OUTPUT/summary.md" | sed '$d'
        printf '\nThe summary is too long for a comment and was cut here; summary.md in the artifact of the job has all of it.\n'
    fi
}

comment() {
    local file me id="" number login
    file=$(mktemp)
    trap "rm -f '$file'" EXIT
    body >"$file" # a file, because an argument may have 128 KiB only
    # Only a comment of this token's user is updated: anybody can write one that begins with the mark.
    me=$(gh api graphql -f query='{viewer{login}}' --jq .data.viewer.login)
    while read -r number login; do
        if [ -z "$id" ] && [ "${login%"[bot]"}" = "${me%"[bot]"}" ]; then id=$number; fi
    done < <(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" \
        --jq ".[] | select(.body | startswith(\"$MARK\")) | \"\(.id) \(.user.login)\"")
    if [ -n "$id" ]; then
        gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$file" --silent
    else
        gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" -F "body=@$file" --silent
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
