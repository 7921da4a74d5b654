/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest without a system: it counts the ticks of the BIOS's clock at 0x8000, where one can look from outside, and writes the
 * count to its disk every 16 ticks, at 1 MiB.
 */
  .code16
  .globl _start
_start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7000, %sp
  sti
  movl $0x1000, 0x8000
again:
  hlt
  incl 0x8000
  testb $15, 0x8000
  jnz again
  movw $packet, %si
  movw $0x4300, %ax
  movb $0x80, %dl
  int $0x13
  jmp again
packet:
  .byte 16, 0
  .word 1
  .word 0x8000
  .word 0
  .quad 2048
  .org 510
  .word 0xaa55
