#!/bin/sh
# http.sh [SECONDS] [ROUNDS]: requests per second and server CPU microseconds per request of HTTPBenchmark's modes, interleaved, medians.
# Needs wrk and curl, and HTTPBenchmark built: swift build -c release --product HTTPBenchmark. Compare modes within one run, never across runs.
seconds=${1:-2} rounds=${2:-3}
bench=${BENCH:-.build/release/HTTPBenchmark}
port=$((20000 + $$ % 20000))
out=$(mktemp -d)
run() { # name connections arguments...
    name=$1 connections=$2; shift 2
    port=$((port + 1))
    "$bench" --port $port "$@" &
    server=$!
    until curl -s -o "$out/first" http://127.0.0.1:$port/; do sleep 0.05; done
    before=$(awk '{ print ($14 + $15) * 10000 }' /proc/$server/stat)
    wrk -t1 -c$connections -d${seconds}s --latency http://127.0.0.1:$port/ > "$out/wrk"
    after=$(awk '{ print ($14 + $15) * 10000 }' /proc/$server/stat)
    kill -TERM $server; wait $server
    awk -v cpu=$((after - before)) '/requests in/ { n = $1 } /Requests\/sec/ { rps = $2 } /99%/ { p99 = $2 } /Socket errors|Non-2xx/ { bad = " " $0 }
        END { printf "%.0f %.2f %s%s\n", rps, cpu / n, p99, bad }' "$out/wrk" >> "$out/$name.$connections"
}
for connections in 1 4 8 32 64; do
    for round in $(seq $rounds); do
        run inline $connections --inline
        run adaptive $connections
        run busy40-inline $connections --inline --busy-us 40
        run busy40-adaptive $connections --busy-us 40
        run body64k $connections --body 65536
    done
done
printf '%-18s %5s %9s %9s %9s\n' mode conns rps cpu_us p99
for connections in 1 4 8 32 64; do
    for name in inline adaptive busy40-inline busy40-adaptive body64k; do
        sort -n "$out/$name.$connections" | awk -v name=$name -v c=$connections '{ line[NR] = $0 }
            END { split(line[int((NR + 1) / 2)], f, " "); printf "%-18s %5d %9s %9s %9s %s\n", name, c, f[1], f[2], f[3], f[4] }'
    done
done
rm -r "$out"
