#!/usr/bin/env bash
# End what start_slurm.sh DIR started, by its pid files, and nothing else.
set -uo pipefail
dir=$(realpath -m "${1:?usage: stop_slurm.sh DIR}")
conf=/etc/slurm/slurm.conf

jobs=$(timeout 10 squeue -h -t PD,R,CG,S,CF -o %A 2>/dev/null | sort -u)
[ -z "$jobs" ] || timeout 10 scancel $jobs
for daemon in slurmd slurmctld munged; do
    pid=$(cat "$dir/$daemon.pid" 2>/dev/null) || continue
    # the number may belong to another process by now
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || continue
    kill "$pid"
    for _ in $(seq 100); do
        [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || break
        sleep 0.1
    done
done
[ "$(readlink $conf 2>/dev/null)" = "$dir/slurm.conf" ] && rm -f $conf
exit 0
