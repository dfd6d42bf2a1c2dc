// The process that is in a system call.

struct process {
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u8 comm[16];
};

static __always_inline void current_process(struct process *p)
{
	__u64 id = bpf_get_current_pid_tgid();

	p->tgid = id >> 32;
	p->tid = (__u32)id;
	p->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(p->comm, sizeof(p->comm));
}
