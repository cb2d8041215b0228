package boltstore

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// An event is a system call of the traced process that has to do with the file,
// its folder, or what the process says.
type event struct {
	kind    eventKind
	offset  int64  // of a write
	data    []byte // that was written
	size    int64  // that the file was cut or grown to
	entered int    // of a sync: how many events had happened when it began
	line    string // of an acknowledgement
}

type eventKind int

const (
	eventCreate eventKind = iota + 1
	eventWrite
	eventSize
	eventSync
	eventSyncFolder
	eventAck
)

// trace runs a child process and records what it does to a file, in order. It
// skips the test where processes may not be traced, but not in CI.
func trace(t *testing.T, cmd *exec.Cmd, path string) []event {
	t.Helper()
	runtime.LockOSThread() // only the thread that started a process may trace it
	defer runtime.UnlockOSThread()
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	require.NoError(t, err)
	defer func() { require.NoError(t, output.Close()) }()
	cmd.Stdout = output
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	unable := func(err error) {
		t.Helper()
		if err == nil {
			return
		}
		if os.Getenv("CI") == "true" {
			require.NoError(t, err, "CI must be able to trace a process")
		}
		t.Skipf("this machine does not let a process be traced: %v", err)
	}
	unable(cmd.Start())
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	_, err = syscall.Wait4(pid, &status, 0, nil)
	unable(err)
	const traceSysGood = 0x1
	unable(syscall.PtraceSetOptions(pid, traceSysGood|syscall.PTRACE_O_TRACECLONE))
	memory, err := os.Open("/proc/" + strconv.Itoa(pid) + "/mem")
	unable(err)
	defer func() { _ = memory.Close() }()

	tracer := tracer{memory: memory, path: path, files: map[uint64]string{1: "output"}, calls: map[int]*call{}}
	unable(syscall.PtraceSyscall(pid, 0))
	for {
		thread, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		require.NoError(t, err)
		if status.Exited() || status.Signaled() {
			if thread == pid {
				break
			}
			continue
		}
		if !status.Stopped() {
			continue
		}
		signal := 0
		switch stop := status.StopSignal(); stop {
		case syscall.SIGTRAP | 0x80:
			var registers syscall.PtraceRegs
			if err := syscall.PtraceGetRegs(thread, &registers); err == nil {
				tracer.stopped(thread, &registers)
			}
		case syscall.SIGTRAP, syscall.SIGSTOP: // a thread was born
		default:
			signal = int(stop) // such as those with which Go preempts
		}
		_ = syscall.PtraceSyscall(thread, signal) // fails for a thread that has just died
	}
	require.True(t, status.Exited(), status)
	if status.ExitStatus() != 0 {
		said, _ := os.ReadFile(output.Name())
		require.Failf(t, "the child failed", "%s", said)
	}
	// The process belongs to nobody any more: it has been waited for.
	_ = cmd.Process.Release()
	return tracer.events
}

type tracer struct {
	memory *os.File
	path   string
	files  map[uint64]string // what a descriptor stands for
	calls  map[int]*call     // under way, by thread
	events []event
}

// A call is a system call between its beginning and its end.
type call struct {
	number, fd uint64
	name       string
	event      event
}

// stopped is called when a thread begins or ends a system call.
func (t *tracer) stopped(thread int, r *syscall.PtraceRegs) {
	if c := t.calls[thread]; c != nil {
		delete(t.calls, thread)
		if result := int64(r.Rax); result >= 0 {
			t.ended(c, result)
		}
		return
	}
	c := &call{number: r.Orig_rax, fd: r.Rdi}
	t.calls[thread] = c
	target := t.files[r.Rdi]
	switch c.number {
	case syscall.SYS_OPENAT:
		c.name = t.text(r.Rsi)
		if c.name == t.path && r.Rdx&syscall.O_CREAT != 0 {
			c.event.kind = eventCreate
		}
	case syscall.SYS_WRITE:
		switch target {
		case "output":
			// What is said is heard when the call begins, at the earliest.
			t.events = append(t.events, event{kind: eventAck, line: string(t.bytes(r.Rsi, r.Rdx))})
		case t.path:
			panic("the file is written in a way that the trace does not know")
		}
	case syscall.SYS_PWRITE64:
		if target == t.path {
			c.event = event{kind: eventWrite, offset: int64(r.R10), data: t.bytes(r.Rsi, r.Rdx)}
		}
	case syscall.SYS_FTRUNCATE:
		if target == t.path {
			c.event = event{kind: eventSize, size: int64(r.Rsi)}
		}
	case syscall.SYS_PWRITEV, syscall.SYS_WRITEV, syscall.SYS_FALLOCATE:
		if target == t.path {
			panic("the file is written in a way that the trace does not know")
		}
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		if target == t.path {
			c.event = event{kind: eventSync, entered: len(t.events)}
		} else if target == filepath.Dir(t.path) {
			c.event = event{kind: eventSyncFolder, entered: len(t.events)}
		}
	}
}

func (t *tracer) ended(c *call, result int64) {
	switch c.number {
	case syscall.SYS_OPENAT:
		if strings.HasPrefix(c.name, filepath.Dir(t.path)) {
			t.files[uint64(result)] = c.name
		}
	case syscall.SYS_CLOSE:
		delete(t.files, c.fd)
	case syscall.SYS_PWRITE64:
		if c.event.kind != 0 {
			c.event.data = c.event.data[:result]
		}
	}
	if c.event.kind != 0 {
		t.events = append(t.events, c.event)
	}
}

func (t *tracer) bytes(address, size uint64) []byte {
	data := make([]byte, size)
	if _, err := t.memory.ReadAt(data, int64(address)); err != nil {
		panic("the memory of the traced process cannot be read: " + err.Error())
	}
	return data
}

func (t *tracer) text(address uint64) string {
	data := make([]byte, 4096)
	n, _ := t.memory.ReadAt(data, int64(address))
	text, _, _ := bytes.Cut(data[:n], []byte{0})
	return string(text)
}
