n=0 previous=$(printf '0%.0s' {1..64})
while IFS= read -r line; do
    n=$((n + 1)) body="${line%,\"hash\":*}"
    hash=$(printf '%s}' "$body" | sha256sum | cut -c 1-64)
    [ "$line" = "$body,\"hash\":\"$hash\"}" ] || echo "line $n was altered"
    case $body in
        "{\"seq\":$n,"*",\"previous\":\"$previous\"") ;;
        *) echo "line $n does not continue line $((n - 1))" ;;
    esac
    previous=$hash
done < journal.jsonl
echo "$n:$previous is the end; head says $(cat head)"
