#!/usr/bin/env bash
# A real Slurm of one node on this machine, on loopback only: munged, slurmctld and slurmd, without systemd,
# cgroups or accounting. Debian's packages: slurmctld slurmd slurm-client munge. Run as root.
#
#   start_slurm.sh DIR    state, logs and slurm.conf go to DIR; ends with the node idle, or exit code 1
#   stop_slurm.sh DIR     ends what was started, by its pid files
#
# Environment: SLURM_CPUS (default 2), SLURM_PORT (first of three ports, default 16817).
set -euo pipefail
dir=$(realpath -m "${1:?usage: start_slurm.sh DIR}")
cpus=${SLURM_CPUS:-2}
port=${SLURM_PORT:-16817}
memory=$(($(awk '/^MemTotal:/ {print $2}' /proc/meminfo) / 1024 - 512))
host=$(hostname -s)
conf=/etc/slurm/slurm.conf # the jobstep plugin clears SLURM_CONF before it calls srun: only this place will do
export PATH=$PATH:/usr/sbin

die() {
    echo "start_slurm: $*" >&2
    tail -n 20 "$dir"/*.log >&2 2>/dev/null || true
    exit 1
}
wait_for() { # wait_for <seconds> <what> <command…>
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "$what is not ready"
        sleep 0.2
    done
}

[ "$(id -u)" = 0 ] || die "run as root"
if [ -e $conf ] && [ "$(readlink $conf)" != "$dir/slurm.conf" ]; then
    die "$conf is there already: this machine has a Slurm of its own"
fi
mkdir -p "$dir"/{ctld,slurmd,munge} /etc/slurm
chmod 755 "$dir" "$dir/munge"
chmod 700 "$dir/ctld"

mungekey --force --create --keyfile="$dir/munge/key"
munged --force --num-threads=2 --origin=127.0.0.1 --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
    --pid-file="$dir/munged.pid" --seed-file="$dir/munge/seed" --log-file="$dir/munged.log"

cat >"$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SrunPortRange=$((port + 100))-$((port + 300))
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/ctld
SlurmdSpoolDir=$dir/slurmd
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
# Look at each step's memory every second and kill the step that uses more than it asked for.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Believe the numbers of CPUs and MB below, even where the machine has fewer.
SlurmdParameters=config_overrides
DefMemPerCPU=500
PropagateResourceLimits=NONE
ReturnToService=2
JobRequeue=0
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2,nohold_on_prolog_fail
# squeue, where the plugin looks, must know finished jobs for longer than the plugin's longest pause.
MinJobAge=600
KillWait=3
NodeName=test1 NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 State=UP
CONF
ln -sfn "$dir/slurm.conf" $conf

slurmctld -c -i >"$dir/slurmctld.out.log" 2>&1 || die "slurmctld did not start"
slurmd -N test1 >"$dir/slurmd.out.log" 2>&1 || die "slurmd did not start"
idle() { [ "$(sinfo -h -N -o %t)" = idle ]; }
wait_for 60 "the node" idle
timeout 30 srun --quiet --mem=10 true || die "a first job did not run"
sinfo -N -o '%N %P %T %c CPUs %m MB'
