# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Part 5: a project in a new VM, against vagrant-libvirt.

# Make a box of the same image: a clone with the user 'vagrant', flattened. It keeps its machine-id and host keys, and takes
# our own key, which spares vagrant the work of exchanging one.
vagrant_make_box ()
{
  local box=$t_dir/box
  must ramet clone "$base" bench-box --user vagrant
  must ramet ssh bench-box -- sudo -n sync
  must ramet stop bench-box
  mkdir -- "$box"
  must qemu-img convert -O qcow2 /var/lib/libvirt/images/bench-box.qcow2 "$box/box.img"
  must ramet remove --yes bench-box
  must qemu-img info --output=json "$box/box.img"
  python3 -c 'import json, sys
size = json.load(sys.stdin)["virtual-size"]
print(json.dumps({"provider": "libvirt", "format": "qcow2", "virtual_size": -(-size // 2**30)}))' <<<"$out" >"$box/metadata.json"
  printf '%s\n' 'Vagrant.configure("2") { }' >"$box/Vagrantfile"
  must tar -C "$box" -cf "$t_dir/bench.box" metadata.json Vagrantfile box.img
  must vagrant box add --name bench "$t_dir/bench.box"
}

# Everything that vagrant could spend time on and ramet does not is off: screen, network of its own, key exchange. It would
# take the lab's network away with the last VM, if not told to keep it.
vagrant_write_file ()
{
  cat >"$1/Vagrantfile" <<END_OF_FILE
Vagrant.configure("2") do |config|
  config.vm.box = "bench"
  config.vm.box_check_update = false
  config.ssh.insert_key = false
  config.ssh.private_key_path = "/root/.ssh/id_ed25519"
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.synced_folder "$project", "$project", type: "9p", accessmode: "squash", readonly: true,
    mount_opts: "ro,msize=262144"
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "$(xmllint --xpath 'string(/domain/@type)' "$t_dir/base.xml")"
    libvirt.machine_type = "$(xmllint --xpath 'string(/domain/os/type/@machine)' "$t_dir/base.xml")"
    libvirt.cpu_mode = "$(xmllint --xpath 'string(/domain/cpu/@mode)' "$t_dir/base.xml")"
    libvirt.cpus = $(xmllint --xpath 'string(/domain/vcpu)' "$t_dir/base.xml")
    libvirt.memory = $(($(xmllint --xpath 'string(/domain/memory)' "$t_dir/base.xml") / 1024))
    libvirt.graphics_type = "none"
    libvirt.random model: "random"
    libvirt.management_network_name = "default"
    libvirt.management_network_address = "192.168.122.0/24"
    libvirt.management_network_keep = true
  end
end
END_OF_FILE
}

# Bring up the project with vagrant; without $1 as a warm-up, in which the box is copied into the pool.
vagrant_up ()
{
  local since=$EPOCHREALTIME
  must vagrant up --provider libvirt
  must vagrant ssh -c true
  [[ -z ${1:-} ]] || bench_add_span "$1" "$since" "$EPOCHREALTIME"
  must vagrant ssh -c "test -e '$project/README.md'"
  must vagrant destroy --force
}

vagrant_ramet ()
{
  local since=$EPOCHREALTIME
  must ramet clone "$base" bench-project -d "$project"
  must ramet ssh bench-project -- true
  bench_add_span vagrant-ramet-s "$since" "$EPOCHREALTIME"
  must ramet ssh bench-project -- test -e "$project/README.md"
  must ramet remove --yes bench-project
}

bench_vagrant ()
{
  local round
  export VAGRANT_CHECKPOINT_DISABLE=1
  project=/home/project
  mkdir -p -- "$project" "$t_dir/vagrant"
  cp -r -- "$RAMET_CHECKOUT/README.md" "$RAMET_CHECKOUT/src" "$project/"
  must virsh -c qemu:///system dumpxml "$base"
  printf '%s\n' "$out" >"$t_dir/base.xml"
  bench_say "making a box for vagrant"
  vagrant_make_box
  vagrant_write_file "$t_dir/vagrant"
  cd -- "$t_dir/vagrant" || return
  vagrant_up
  for ((round = 1; round <= repetitions; round++)); do
    bench_say "vagrant up and ramet clone, $round of $repetitions"
    vagrant_up vagrant-up-s
    vagrant_ramet
  done
}
