# Network namespaces of this machine as the machines of a cluster: to be sourced. They hang on one bridge; Open MPI
# starts its daemons in them and sends everything over their links.

# Names of namespaces, links and the bridge begin with it; at most six characters.
prefix="${prefix:-dlrm$((RANDOM % 90 + 10))}"
network=10.177.23

# Whether this process may have them.
can_have_namespaces() {
    command -v ip >/dev/null && command -v tc >/dev/null || return 1
    ip netns add "$prefix-try" 2>/dev/null || return 1
    local fits=0
    ip -n "$prefix-try" link add net0 type veth peer name net1 2>/dev/null &&
        ip netns exec "$prefix-try" tc qdisc add dev net0 root tbf rate 1gbit burst 256kb latency 50ms 2>/dev/null || fits=1
    ip netns delete "$prefix-try"
    return $fits
}

# As many machines as said, with links as fast as they can be.
with_namespaces() {
    ip link add "$prefix" type bridge
    ip address add "$network.254/24" dev "$prefix"
    ip link set "$prefix" up
    local machine
    for machine in $(seq "$1"); do
        ip netns add "$prefix-$machine"
        ip link add "$prefix.$machine" type veth peer name net0 netns "$prefix-$machine"
        ip link set "$prefix.$machine" master "$prefix" up
        ip -n "$prefix-$machine" address add "$network.$machine/24" dev net0
        ip -n "$prefix-$machine" link set net0 up
        ip -n "$prefix-$machine" link set lo up
    done
}

without_namespaces() {
    local space
    for space in $(ip netns list 2>/dev/null | awk '{ print $1 }' | grep "^$prefix-" || true); do
        ip netns delete "$space"
    done
    local link
    for link in $(ip -o link show 2>/dev/null | sed -n "s/^[0-9]*: \($prefix[.0-9]*\)[@:].*/\1/p"); do
        ip link delete "$link" 2>/dev/null || true
    done
}

# Every machine sends so many Mbit in a second: as many machines as said.
shape() {
    local machine
    for machine in $(seq "$1"); do
        ip netns exec "$prefix-$machine" tc qdisc replace dev net0 root tbf rate "$2mbit" burst 256kb latency 400ms
    done
}

# Runs a command as so many ranks, each on a machine of its own.
among() {
    local size="$1" machines agent
    shift
    machines="$(seq "$size" | sed "s/.*/$network.&:1/" | paste -sd,)"
    # Open MPI calls it as it would call ssh: with a machine and a command.
    agent="$(mktemp)"
    cat >"$agent" <<AGENT
#!/usr/bin/env bash
machine="\${1##*.}"
shift
exec ip netns exec "$prefix-\$machine" unshare --uts bash -c "hostname $prefix-\$machine; \$*"
AGENT
    chmod +x "$agent"
    local code=0
    mpirun --allow-run-as-root --bind-to none -n "$size" -H "$machines" --mca plm rsh --mca plm_rsh_agent "$agent" \
        --mca pml ob1 --mca btl tcp,self --mca btl_tcp_if_include "$network.0/24" --mca oob_tcp_if_include "$network.0/24" \
        "$@" || code=$?
    rm "$agent"
    return $code
}
