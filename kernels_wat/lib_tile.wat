;; lib_tile — register tiles of matrix products and convolutions: accumulate, then finish
;;
;; Every tile does the same: for each k ascending, c[r][j] = madd(a[r][k], w[k][j], c[r][j]), two vectors by $madd2!.
;; a0…: addresses of rows (or pixels) of k consecutive floats · w…: panels [k][8] · kb = 4·k
;; c<row><vector>; of the 16 vector registers a tile takes
;;
;;   tile      rows × columns   acc + w + a + product    for
;;   4×8            4 × 8         8 + 2 + 1 + 1 = 12     two roundings
;;   6×8            6 × 8        12 + 2 + 1     = 15     one rounding: no register holds a product
;;   5×8            5 × 8        10 + 2 + 1     = 13     the same, of rows that sixes would leave over
;;   2×16           2 × 16        8 + 4 + 1 + 1 = 14     two rows left over
;;   1×32           1 × 32        8 + 1 + 1 + 1 = 11     one row left over: four panels are four streams from memory, which is
;;                                                         read fastest when they are far apart
;;
;; Tall tiles also touch memory that is needed later: unless `step` is 0, a byte at `touch` and one `half` bytes further on
;; each turn, both of which move on by so many bytes.
;;
;; The addresses of tall tiles' rows move on before they are used: engines know that a sum has no high bits, but not that
;; a value of the turn before has none, and would copy it into one more register.
(module
  ;; `ahead`: whether the panel's address also moves on before it is used, for callers with no register to spare.
  (func $tile4x8! (param $ahead i32) (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                (param $w i32) (param $kb i32) (param $step i32) (param $half i32) (param $touch i32)
                (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $end i32) (local $last i32) (local $did i32) (local $w0 v128) (local $w1 v128) (local $v v128)
    ;; Four floats at a time, twice in a turn; the last turn may end between them.
    (local.set $end (i32.add (local.get $a0) (i32.and (local.get $kb) (i32.const -16))))
    (local.set $last (i32.sub (local.get $end) (i32.const 16)))
    (if (local.get $ahead) (then (local.set $w (i32.add (local.get $w) (i32.const -256)))))
    (local.set $a0 (i32.add (local.get $a0) (i32.const -32)))
    (local.set $a1 (i32.add (local.get $a1) (i32.const -32)))
    (local.set $a2 (i32.add (local.get $a2) (i32.const -32)))
    (local.set $a3 (i32.add (local.get $a3) (i32.const -32)))
    (block $eights_done
      (br_if $eights_done (i32.lt_u (local.get $kb) (i32.const 16)))
      (loop $eights
        (if (local.get $step)
          (then
            (drop (i32.load8_u (local.get $touch)))
            (drop (i32.load8_u (i32.add (local.get $touch) (local.get $half))))
            (local.set $touch (i32.add (local.get $touch) (local.get $step)))))
        (if (local.get $ahead) (then (local.set $w (i32.add (local.get $w) (i32.const 256)))))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 32)))
        (local.set $a1 (i32.add (local.get $a1) (i32.const 32)))
        (local.set $a2 (i32.add (local.get $a2) (i32.const 32)))
        (local.set $a3 (i32.add (local.get $a3) (i32.const 32)))
        (local.set $w0 (v128.load (local.get $w)))
        (local.set $w1 (v128.load offset=16 (local.get $w)))
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $w0 (v128.load offset=32 (local.get $w)))
        (local.set $w1 (v128.load offset=48 (local.get $w)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $w0 (v128.load offset=64 (local.get $w)))
        (local.set $w1 (v128.load offset=80 (local.get $w)))
        (local.set $v (v128.load32_splat offset=8 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $w0 (v128.load offset=96 (local.get $w)))
        (local.set $w1 (v128.load offset=112 (local.get $w)))
        (local.set $v (v128.load32_splat offset=12 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (br_if $eights_done (i32.eq (local.get $a0) (local.get $last)))
        (local.set $w0 (v128.load offset=128 (local.get $w)))
        (local.set $w1 (v128.load offset=144 (local.get $w)))
        (local.set $v (v128.load32_splat offset=16 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=16 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=16 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=16 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $w0 (v128.load offset=160 (local.get $w)))
        (local.set $w1 (v128.load offset=176 (local.get $w)))
        (local.set $v (v128.load32_splat offset=20 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=20 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=20 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=20 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $w0 (v128.load offset=192 (local.get $w)))
        (local.set $w1 (v128.load offset=208 (local.get $w)))
        (local.set $v (v128.load32_splat offset=24 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=24 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=24 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=24 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $w0 (v128.load offset=224 (local.get $w)))
        (local.set $w1 (v128.load offset=240 (local.get $w)))
        (local.set $v (v128.load32_splat offset=28 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=28 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=28 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=28 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (if (i32.eqz (local.get $ahead)) (then (local.set $w (i32.add (local.get $w) (i32.const 256)))))
        (br_if $eights
          (i32.lt_u (local.get $a0) (i32.sub (local.get $last) (i32.const 16))))))
    (if (i32.and (local.get $kb) (i32.const 12))
      (then
        ;; The last turn did 16 or 32 bytes of a row.
        (local.set $did (i32.sub (local.get $end) (local.get $a0)))
        (if (local.get $ahead)
          (then
            (local.set $w
              (i32.add (local.get $w) (i32.sub (i32.shl (local.get $did) (i32.const 3)) (i32.const 32)))))
          (else
            (local.set $w
              (i32.add (local.get $w) (i32.sub (i32.const 256) (i32.shl (local.get $did) (i32.const 3)))))))
        (local.set $did (i32.sub (local.get $did) (i32.const 4)))
        (local.set $a0 (i32.add (local.get $a0) (local.get $did)))
        (local.set $a1 (i32.add (local.get $a1) (local.get $did)))
        (local.set $a2 (i32.add (local.get $a2) (local.get $did)))
        (local.set $a3 (i32.add (local.get $a3) (local.get $did)))
        (local.set $end (i32.add (local.get $a0) (i32.and (local.get $kb) (i32.const 12))))
        (loop $ones
          (if (local.get $ahead) (then (local.set $w (i32.add (local.get $w) (i32.const 32)))))
          (local.set $a0 (i32.add (local.get $a0) (i32.const 4)))
          (local.set $a1 (i32.add (local.get $a1) (i32.const 4)))
          (local.set $a2 (i32.add (local.get $a2) (i32.const 4)))
          (local.set $a3 (i32.add (local.get $a3) (i32.const 4)))
          (local.set $w0 (v128.load (local.get $w)))
          (local.set $w1 (v128.load offset=16 (local.get $w)))
          (local.set $v (v128.load32_splat (local.get $a0)))
          (local.set $c00 (local.set $c01
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
          (local.set $v (v128.load32_splat (local.get $a1)))
          (local.set $c10 (local.set $c11
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
          (local.set $v (v128.load32_splat (local.get $a2)))
          (local.set $c20 (local.set $c21
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
          (local.set $v (v128.load32_splat (local.get $a3)))
          (local.set $c30 (local.set $c31
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
          (if (i32.eqz (local.get $ahead)) (then (local.set $w (i32.add (local.get $w) (i32.const 32)))))
          (br_if $ones (i32.lt_u (local.get $a0) (local.get $end))))))
    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31))

  ;; `rows`: 6, or 5, which leaves a5, c50 and c51 alone.
  (func $tile6x8! (param $rows i32)
                (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32) (param $a4 i32) (param $a5 i32)
                (param $w i32) (param $kb i32) (param $step i32) (param $half i32) (param $touch i32)
                (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                (param $c40 v128) (param $c41 v128) (param $c50 v128) (param $c51 v128)
                (result v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128 v128)
    (local $end i32) (local $w0 v128) (local $w1 v128) (local $v v128)
    (local.set $end (i32.add (local.get $a0) (i32.sub (i32.and (local.get $kb) (i32.const -16)) (i32.const 16))))
    (local.set $a0 (i32.add (local.get $a0) (i32.const -16)))
    (local.set $a1 (i32.add (local.get $a1) (i32.const -16)))
    (local.set $a2 (i32.add (local.get $a2) (i32.const -16)))
    (local.set $a3 (i32.add (local.get $a3) (i32.const -16)))
    (local.set $a4 (i32.add (local.get $a4) (i32.const -16)))
    (if (i32.gt_u (local.get $rows) (i32.const 5))
      (then (local.set $a5 (i32.add (local.get $a5) (i32.const -16)))))
    (block $fours_done
      (br_if $fours_done (i32.lt_u (local.get $kb) (i32.const 16)))
      (loop $fours
        (if (local.get $step)
          (then
            (drop (i32.load8_u (local.get $touch)))
            (drop (i32.load8_u (i32.add (local.get $touch) (local.get $half))))
            (local.set $touch (i32.add (local.get $touch) (local.get $step)))))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 16)))
        (local.set $a1 (i32.add (local.get $a1) (i32.const 16)))
        (local.set $a2 (i32.add (local.get $a2) (i32.const 16)))
        (local.set $a3 (i32.add (local.get $a3) (i32.const 16)))
        (local.set $a4 (i32.add (local.get $a4) (i32.const 16)))
        (if (i32.gt_u (local.get $rows) (i32.const 5))
          (then (local.set $a5 (i32.add (local.get $a5) (i32.const 16)))))
        (local.set $w0 (v128.load (local.get $w)))
        (local.set $w1 (v128.load offset=16 (local.get $w)))
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $v (v128.load32_splat (local.get $a4)))
        (local.set $c40 (local.set $c41
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c40) (local.get $c41))))
        (if (i32.gt_u (local.get $rows) (i32.const 5))
          (then
            (local.set $v (v128.load32_splat (local.get $a5)))
            (local.set $c50 (local.set $c51
              (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c50) (local.get $c51))))))
        (local.set $w0 (v128.load offset=32 (local.get $w)))
        (local.set $w1 (v128.load offset=48 (local.get $w)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a4)))
        (local.set $c40 (local.set $c41
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c40) (local.get $c41))))
        (if (i32.gt_u (local.get $rows) (i32.const 5))
          (then
            (local.set $v (v128.load32_splat offset=4 (local.get $a5)))
            (local.set $c50 (local.set $c51
              (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c50) (local.get $c51))))))
        (local.set $w0 (v128.load offset=64 (local.get $w)))
        (local.set $w1 (v128.load offset=80 (local.get $w)))
        (local.set $v (v128.load32_splat offset=8 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $v (v128.load32_splat offset=8 (local.get $a4)))
        (local.set $c40 (local.set $c41
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c40) (local.get $c41))))
        (if (i32.gt_u (local.get $rows) (i32.const 5))
          (then
            (local.set $v (v128.load32_splat offset=8 (local.get $a5)))
            (local.set $c50 (local.set $c51
              (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c50) (local.get $c51))))))
        (local.set $w0 (v128.load offset=96 (local.get $w)))
        (local.set $w1 (v128.load offset=112 (local.get $w)))
        (local.set $v (v128.load32_splat offset=12 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a2)))
        (local.set $c20 (local.set $c21
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a3)))
        (local.set $c30 (local.set $c31
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
        (local.set $v (v128.load32_splat offset=12 (local.get $a4)))
        (local.set $c40 (local.set $c41
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c40) (local.get $c41))))
        (if (i32.gt_u (local.get $rows) (i32.const 5))
          (then
            (local.set $v (v128.load32_splat offset=12 (local.get $a5)))
            (local.set $c50 (local.set $c51
              (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c50) (local.get $c51))))))
        (local.set $w (i32.add (local.get $w) (i32.const 128)))
        (br_if $fours (i32.lt_u (local.get $a0) (local.get $end)))))
    (if (i32.and (local.get $kb) (i32.const 12))
      (then
        (local.set $end (i32.add (local.get $end) (i32.add (i32.and (local.get $kb) (i32.const 12)) (i32.const 12))))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 12)))
        (local.set $a1 (i32.add (local.get $a1) (i32.const 12)))
        (local.set $a2 (i32.add (local.get $a2) (i32.const 12)))
        (local.set $a3 (i32.add (local.get $a3) (i32.const 12)))
        (local.set $a4 (i32.add (local.get $a4) (i32.const 12)))
        (local.set $a5 (i32.add (local.get $a5) (i32.const 12)))
        (loop $ones
          (local.set $a0 (i32.add (local.get $a0) (i32.const 4)))
          (local.set $a1 (i32.add (local.get $a1) (i32.const 4)))
          (local.set $a2 (i32.add (local.get $a2) (i32.const 4)))
          (local.set $a3 (i32.add (local.get $a3) (i32.const 4)))
          (local.set $a4 (i32.add (local.get $a4) (i32.const 4)))
          (if (i32.gt_u (local.get $rows) (i32.const 5))
            (then (local.set $a5 (i32.add (local.get $a5) (i32.const 4)))))
          (local.set $w0 (v128.load (local.get $w)))
          (local.set $w1 (v128.load offset=16 (local.get $w)))
          (local.set $v (v128.load32_splat (local.get $a0)))
          (local.set $c00 (local.set $c01
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
          (local.set $v (v128.load32_splat (local.get $a1)))
          (local.set $c10 (local.set $c11
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
          (local.set $v (v128.load32_splat (local.get $a2)))
          (local.set $c20 (local.set $c21
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c20) (local.get $c21))))
          (local.set $v (v128.load32_splat (local.get $a3)))
          (local.set $c30 (local.set $c31
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c30) (local.get $c31))))
          (local.set $v (v128.load32_splat (local.get $a4)))
          (local.set $c40 (local.set $c41
            (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c40) (local.get $c41))))
          (if (i32.gt_u (local.get $rows) (i32.const 5))
            (then
              (local.set $v (v128.load32_splat (local.get $a5)))
              (local.set $c50 (local.set $c51
                (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c50) (local.get $c51))))))
          (local.set $w (i32.add (local.get $w) (i32.const 32)))
          (br_if $ones (i32.lt_u (local.get $a0) (local.get $end))))))
    (local.get $c00) (local.get $c01) (local.get $c10) (local.get $c11)
    (local.get $c20) (local.get $c21) (local.get $c30) (local.get $c31)
    (local.get $c40) (local.get $c41) (local.get $c50) (local.get $c51))

  ;; Two panels: w and u.
  (func $tile2x16! (param $a0 i32) (param $a1 i32)
                 (param $w i32) (param $u i32) (param $kb i32)
                 (param $c00 v128) (param $c01 v128) (param $c02 v128) (param $c03 v128)
                 (param $c10 v128) (param $c11 v128) (param $c12 v128) (param $c13 v128)
                 (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $end i32) (local $w0 v128) (local $w1 v128) (local $u0 v128) (local $u1 v128) (local $v v128)
    (local.set $end (i32.add (local.get $a0) (i32.and (local.get $kb) (i32.const -8))))
    (block $twos_done
      (br_if $twos_done (i32.ge_u (local.get $a0) (local.get $end)))
      (loop $twos
        (local.set $w0 (v128.load (local.get $w)))
        (local.set $w1 (v128.load offset=16 (local.get $w)))
        (local.set $u0 (v128.load (local.get $u)))
        (local.set $u1 (v128.load offset=16 (local.get $u)))
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $c02 (local.set $c03
          (call $madd2! (local.get $v) (local.get $u0) (local.get $u1) (local.get $c02) (local.get $c03))))
        (local.set $v (v128.load32_splat (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $c12 (local.set $c13
          (call $madd2! (local.get $v) (local.get $u0) (local.get $u1) (local.get $c12) (local.get $c13))))
        (local.set $w0 (v128.load offset=32 (local.get $w)))
        (local.set $w1 (v128.load offset=48 (local.get $w)))
        (local.set $u0 (v128.load offset=32 (local.get $u)))
        (local.set $u1 (v128.load offset=48 (local.get $u)))
        (local.set $v (v128.load32_splat offset=4 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $c02 (local.set $c03
          (call $madd2! (local.get $v) (local.get $u0) (local.get $u1) (local.get $c02) (local.get $c03))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $c12 (local.set $c13
          (call $madd2! (local.get $v) (local.get $u0) (local.get $u1) (local.get $c12) (local.get $c13))))
        (local.set $w (i32.add (local.get $w) (i32.const 64)))
        (local.set $u (i32.add (local.get $u) (i32.const 64)))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 8)))
        (local.set $a1 (i32.add (local.get $a1) (i32.const 8)))
        (br_if $twos (i32.lt_u (local.get $a0) (local.get $end)))))
    (if (i32.and (local.get $kb) (i32.const 4))
      (then
        (local.set $w0 (v128.load (local.get $w)))
        (local.set $w1 (v128.load offset=16 (local.get $w)))
        (local.set $u0 (v128.load (local.get $u)))
        (local.set $u1 (v128.load offset=16 (local.get $u)))
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c00) (local.get $c01))))
        (local.set $c02 (local.set $c03
          (call $madd2! (local.get $v) (local.get $u0) (local.get $u1) (local.get $c02) (local.get $c03))))
        (local.set $v (v128.load32_splat (local.get $a1)))
        (local.set $c10 (local.set $c11
          (call $madd2! (local.get $v) (local.get $w0) (local.get $w1) (local.get $c10) (local.get $c11))))
        (local.set $c12 (local.set $c13
          (call $madd2! (local.get $v) (local.get $u0) (local.get $u1) (local.get $c12) (local.get $c13))))))
    (local.get $c00) (local.get $c01) (local.get $c02) (local.get $c03)
    (local.get $c10) (local.get $c11) (local.get $c12) (local.get $c13))

  ;; Four panels: w0…w3.
  (func $tile1x32! (param $a0 i32)
                 (param $w0 i32) (param $w1 i32) (param $w2 i32) (param $w3 i32) (param $kb i32)
                 (param $c00 v128) (param $c01 v128) (param $c02 v128) (param $c03 v128)
                 (param $c04 v128) (param $c05 v128) (param $c06 v128) (param $c07 v128)
                 (result v128 v128 v128 v128 v128 v128 v128 v128)
    (local $end i32) (local $v v128)
    (local.set $end (i32.add (local.get $a0) (i32.and (local.get $kb) (i32.const -8))))
    (block $twos_done
      (br_if $twos_done (i32.ge_u (local.get $a0) (local.get $end)))
      (loop $twos
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (v128.load (local.get $w0)) (v128.load offset=16 (local.get $w0))
            (local.get $c00) (local.get $c01))))
        (local.set $c02 (local.set $c03
          (call $madd2! (local.get $v) (v128.load (local.get $w1)) (v128.load offset=16 (local.get $w1))
            (local.get $c02) (local.get $c03))))
        (local.set $c04 (local.set $c05
          (call $madd2! (local.get $v) (v128.load (local.get $w2)) (v128.load offset=16 (local.get $w2))
            (local.get $c04) (local.get $c05))))
        (local.set $c06 (local.set $c07
          (call $madd2! (local.get $v) (v128.load (local.get $w3)) (v128.load offset=16 (local.get $w3))
            (local.get $c06) (local.get $c07))))
        (local.set $v (v128.load32_splat offset=4 (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (v128.load offset=32 (local.get $w0)) (v128.load offset=48 (local.get $w0))
            (local.get $c00) (local.get $c01))))
        (local.set $c02 (local.set $c03
          (call $madd2! (local.get $v) (v128.load offset=32 (local.get $w1)) (v128.load offset=48 (local.get $w1))
            (local.get $c02) (local.get $c03))))
        (local.set $c04 (local.set $c05
          (call $madd2! (local.get $v) (v128.load offset=32 (local.get $w2)) (v128.load offset=48 (local.get $w2))
            (local.get $c04) (local.get $c05))))
        (local.set $c06 (local.set $c07
          (call $madd2! (local.get $v) (v128.load offset=32 (local.get $w3)) (v128.load offset=48 (local.get $w3))
            (local.get $c06) (local.get $c07))))
        (local.set $w0 (i32.add (local.get $w0) (i32.const 64)))
        (local.set $w1 (i32.add (local.get $w1) (i32.const 64)))
        (local.set $w2 (i32.add (local.get $w2) (i32.const 64)))
        (local.set $w3 (i32.add (local.get $w3) (i32.const 64)))
        (local.set $a0 (i32.add (local.get $a0) (i32.const 8)))
        (br_if $twos (i32.lt_u (local.get $a0) (local.get $end)))))
    (if (i32.and (local.get $kb) (i32.const 4))
      (then
        (local.set $v (v128.load32_splat (local.get $a0)))
        (local.set $c00 (local.set $c01
          (call $madd2! (local.get $v) (v128.load (local.get $w0)) (v128.load offset=16 (local.get $w0))
            (local.get $c00) (local.get $c01))))
        (local.set $c02 (local.set $c03
          (call $madd2! (local.get $v) (v128.load (local.get $w1)) (v128.load offset=16 (local.get $w1))
            (local.get $c02) (local.get $c03))))
        (local.set $c04 (local.set $c05
          (call $madd2! (local.get $v) (v128.load (local.get $w2)) (v128.load offset=16 (local.get $w2))
            (local.get $c04) (local.get $c05))))
        (local.set $c06 (local.set $c07
          (call $madd2! (local.get $v) (v128.load (local.get $w3)) (v128.load offset=16 (local.get $w3))
            (local.get $c06) (local.get $c07))))))
    (local.get $c00) (local.get $c01) (local.get $c02) (local.get $c03)
    (local.get $c04) (local.get $c05) (local.get $c06) (local.get $c07))

  ;; Finish one row of a tile, 8 columns: y = clamp(v), the first min(cols, 8) columns.
  (func $clamp_store8! (param $y i32) (param $v0 v128) (param $v1 v128)
                       (param $lo v128) (param $hi v128) (param $cols i32)
    (local $u0 v128) (local $u1 v128)
    (local.set $u0 (call $clamp! (local.get $v0) (local.get $lo) (local.get $hi)))
    (local.set $u1 (call $clamp! (local.get $v1) (local.get $lo) (local.get $hi)))
    (call $store_x32! (local.get $y) (local.get $u0) (local.get $cols))
    (if (i32.gt_u (local.get $cols) (i32.const 4))
      (then
        (call $store_x32! (i32.add (local.get $y) (i32.const 16)) (local.get $u1)
          (i32.sub (local.get $cols) (i32.const 4))))))

  ;; Finish a tile of $tile_rows! rows: y = clamp(c + residual), the first min(cols, 8) columns of each row. With r, the
  ;; residual of what is at y lies dr bytes from it. Residuals are read before anything is stored: rows may be the same.
  (func $store_tile! (param $y0 i32) (param $y1 i32) (param $y2 i32) (param $y3 i32) (param $y4 i32) (param $y5 i32)
                     (param $r i32) (param $dr i32)
                     (param $c00 v128) (param $c01 v128) (param $c10 v128) (param $c11 v128)
                     (param $c20 v128) (param $c21 v128) (param $c30 v128) (param $c31 v128)
                     (param $c40 v128) (param $c41 v128) (param $c50 v128) (param $c51 v128)
                     (param $lo v128) (param $hi v128) (param $cols i32)
    (local $rows i32)
    (if (local.get $r)
      (then
        (local.set $c00 (local.set $c01
          (call $add8! (local.get $c00) (local.get $c01) (i32.add (local.get $y0) (local.get $dr)))))
        (local.set $c10 (local.set $c11
          (call $add8! (local.get $c10) (local.get $c11) (i32.add (local.get $y1) (local.get $dr)))))
        (local.set $c20 (local.set $c21
          (call $add8! (local.get $c20) (local.get $c21) (i32.add (local.get $y2) (local.get $dr)))))
        (local.set $c30 (local.set $c31
          (call $add8! (local.get $c30) (local.get $c31) (i32.add (local.get $y3) (local.get $dr)))))
        (if (i32.gt_u (call $tile_rows!) (i32.const 4))
          (then
            (local.set $c40 (local.set $c41
              (call $add8! (local.get $c40) (local.get $c41) (i32.add (local.get $y4) (local.get $dr)))))
            (local.set $c50 (local.set $c51
              (call $add8! (local.get $c50) (local.get $c51) (i32.add (local.get $y5) (local.get $dr)))))))))
    (if (i32.ge_u (local.get $cols) (i32.const 8))
      (then
        (v128.store (local.get $y0) (call $clamp! (local.get $c00) (local.get $lo) (local.get $hi)))
        (v128.store offset=16 (local.get $y0) (call $clamp! (local.get $c01) (local.get $lo) (local.get $hi)))
        (v128.store (local.get $y1) (call $clamp! (local.get $c10) (local.get $lo) (local.get $hi)))
        (v128.store offset=16 (local.get $y1) (call $clamp! (local.get $c11) (local.get $lo) (local.get $hi)))
        (v128.store (local.get $y2) (call $clamp! (local.get $c20) (local.get $lo) (local.get $hi)))
        (v128.store offset=16 (local.get $y2) (call $clamp! (local.get $c21) (local.get $lo) (local.get $hi)))
        (v128.store (local.get $y3) (call $clamp! (local.get $c30) (local.get $lo) (local.get $hi)))
        (v128.store offset=16 (local.get $y3) (call $clamp! (local.get $c31) (local.get $lo) (local.get $hi)))
        (if (i32.gt_u (call $tile_rows!) (i32.const 4))
          (then
            (v128.store (local.get $y4) (call $clamp! (local.get $c40) (local.get $lo) (local.get $hi)))
            (v128.store offset=16 (local.get $y4) (call $clamp! (local.get $c41) (local.get $lo) (local.get $hi)))
            (v128.store (local.get $y5) (call $clamp! (local.get $c50) (local.get $lo) (local.get $hi)))
            (v128.store offset=16 (local.get $y5) (call $clamp! (local.get $c51) (local.get $lo) (local.get $hi))))))
      (else
        ;; One row after the other moves up to the first place.
        (local.set $rows (call $tile_rows!))
        (loop $parts
          (call $clamp_store8! (local.get $y0) (local.get $c00) (local.get $c01)
            (local.get $lo) (local.get $hi) (local.get $cols))
          (local.set $y0 (local.get $y1))
          (local.set $c00 (local.get $c10)) (local.set $c01 (local.get $c11))
          (local.set $y1 (local.get $y2))
          (local.set $c10 (local.get $c20)) (local.set $c11 (local.get $c21))
          (local.set $y2 (local.get $y3))
          (local.set $c20 (local.get $c30)) (local.set $c21 (local.get $c31))
          (if (i32.gt_u (call $tile_rows!) (i32.const 4))
            (then
              (local.set $y3 (local.get $y4))
              (local.set $c30 (local.get $c40)) (local.set $c31 (local.get $c41))
              (local.set $y4 (local.get $y5))
              (local.set $c40 (local.get $c50)) (local.set $c41 (local.get $c51))))
          (br_if $parts (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))))

  ;; Eight columns plus those at r.
  (func $add8! (param $v0 v128) (param $v1 v128) (param $r i32) (result v128 v128)
    (f32x4.add (local.get $v0) (v128.load (local.get $r)))
    (f32x4.add (local.get $v1) (v128.load offset=16 (local.get $r))))

  ;; How many tiles meet a panel before the next panel comes, by the bytes of all panels and of a tile's rows. With one,
  ;; rows stay in the first cache and panels stream; panels that fill the second cache meet rows that fill half of it.
  (func $tile_block! (param $panels i32) (param $rows i32) (result i32)
    (select
      (i32.const 1)
      (i32.add (i32.div_u (i32.const 0x80000) (i32.add (local.get $rows) (i32.const 1))) (i32.const 1))
      (i32.le_u (local.get $panels) (i32.const 0x200000))))
)
