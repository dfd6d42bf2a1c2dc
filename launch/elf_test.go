package launch

import (
	"bytes"
	"encoding/binary"
	"syscall"
)

// int80Socket is socket(AF_UNIX, SOCK_STREAM, 0) in the i386 ABI, then exit(result):
//
//	mov eax,359; mov ebx,1; mov ecx,1; xor edx,edx; int 0x80
//	mov ebx,eax; mov eax,1; int 0x80
var int80Socket = []byte{
	0xb8, 0x67, 0x01, 0, 0, 0xbb, 1, 0, 0, 0, 0xb9, 1, 0, 0, 0, 0x31, 0xd2, 0xcd, 0x80,
	0x89, 0xc3, 0xb8, 1, 0, 0, 0, 0xcd, 0x80,
}

const loadAddress = 0x400000

var ident = []byte{0x7f, 'E', 'L', 'F'}

func words(v ...any) []byte {
	var b bytes.Buffer
	for _, x := range v {
		_ = binary.Write(&b, binary.LittleEndian, x)
	}
	return b.Bytes()
}

// elf64 is a static x86-64 executable of one segment that is code (elf(5)).
func elf64(code []byte) []byte {
	size := uint64(64 + 56 + len(code))
	return words(ident, []byte{2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		uint16(2), uint16(62), uint32(1), uint64(loadAddress+64+56), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(loadAddress), uint64(loadAddress), size, size, uint64(4096), code)
}

// elf32 is the same for i386.
func elf32(code []byte) []byte {
	size := uint32(52 + 32 + len(code))
	return words(ident, []byte{1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		uint16(2), uint16(3), uint32(1), uint32(loadAddress+52+32), uint32(52), uint32(0), uint32(0),
		uint16(52), uint16(32), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(0), uint32(loadAddress), uint32(loadAddress), size, size, uint32(5), uint32(4096), code)
}

// asUser runs a control as the bottle's user, but outside of one.
func asUser(uid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
}
