;; where — Y = C ? A : B with broadcasting; C is bytes, true where not 0; A, B, Y of 8, 32 or 64 bits
;; Layout    a nest n0 × n1 × n2 × n3; y0…y2, c0…c2, a0…a2, b0…b2 byte strides; c3, a3, b3 the size of an element
;;           (dense) or 0 (one value for the whole row)
;; Requires  c3 = 1 or c3 = 0 · a3 = size or a3 = 0 · b3 = size or b3 = 0
;; Writes    exactly elements m0 ≤ i < m1 of Y in row-major order; reads up to 15 bytes past A, B and C
;;           y = a, y = b (or y = c for bytes) allowed where they have the strides of Y
(module
  ;; `spread` repeats the bytes of the condition so that each covers a lane.
  (func $where! (param $spread (ref $unary)) (param $splat (ref $splat)) (param $store (ref $store))
                (param $sy i32) (param $lanes i32)
                (param $y i32) (param $c i32) (param $a i32) (param $b i32)
                (param $n1 i32) (param $n2 i32) (param $n3 i32)
                (param $y0 i32) (param $y1 i32) (param $y2 i32)
                (param $c0 i32) (param $c1 i32) (param $c2 i32) (param $c3 i32)
                (param $a0 i32) (param $a1 i32) (param $a2 i32) (param $a3 i32)
                (param $b0 i32) (param $b1 i32) (param $b2 i32) (param $b3 i32)
                (param $m0 i32) (param $m1 i32)
    (local $i i32) (local $row i32) (local $col i32) (local $end i32)
    (local $py i32) (local $pc i32) (local $pa i32) (local $pb i32) (local $vc v128) (local $va v128) (local $vb v128)
    (local.set $i (local.get $m0))
    (block $done
      (loop $rows
        (br_if $done (i32.ge_u (local.get $i) (local.get $m1)))
        (local.set $row (i32.div_u (local.get $i) (local.get $n3)))
        (local.set $col (i32.sub (local.get $i) (i32.mul (local.get $row) (local.get $n3))))
        (local.set $end
          (call $min_u! (local.get $m1)
            (i32.add (local.get $i) (i32.sub (local.get $n3) (local.get $col)))))
        (local.set $py
          (i32.sub
            (i32.add (local.get $y)
              (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
                (local.get $y0) (local.get $y1) (local.get $y2)))
            (i32.shl (i32.sub (local.get $i) (local.get $col)) (local.get $sy))))
        (local.set $pc
          (i32.add (i32.add (local.get $c) (i32.mul (local.get $col) (local.get $c3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $c0) (local.get $c1) (local.get $c2))))
        (local.set $pa
          (i32.add (i32.add (local.get $a) (i32.mul (local.get $col) (local.get $a3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $a0) (local.get $a1) (local.get $a2))))
        (local.set $pb
          (i32.add (i32.add (local.get $b) (i32.mul (local.get $col) (local.get $b3)))
            (call $row3! (local.get $row) (local.get $n1) (local.get $n2)
              (local.get $b0) (local.get $b1) (local.get $b2))))
        (local.set $vc (call $splat_x8! (local.get $pc)))
        (local.set $va (call_ref $splat (local.get $pa) (local.get $splat)))
        (local.set $vb (call_ref $splat (local.get $pb) (local.get $splat)))
        (loop $vectors
          (if (local.get $c3) (then (local.set $vc (v128.load (local.get $pc)))))
          (if (local.get $a3) (then (local.set $va (v128.load (local.get $pa)))))
          (if (local.get $b3) (then (local.set $vb (v128.load (local.get $pb)))))
          (call_ref $store
            (i32.add (local.get $py) (i32.shl (local.get $i) (local.get $sy)))
            (v128.bitselect (local.get $vb) (local.get $va)
              (i8x16.eq (call_ref $unary (local.get $vc) (local.get $spread)) (v128.const i32x4 0 0 0 0)))
            (i32.sub (local.get $end) (local.get $i))
            (local.get $store))
          (local.set $pc (i32.add (local.get $pc) (i32.mul (local.get $c3) (local.get $lanes))))
          (local.set $pa (i32.add (local.get $pa) (i32.mul (local.get $a3) (local.get $lanes))))
          (local.set $pb (i32.add (local.get $pb) (i32.mul (local.get $b3) (local.get $lanes))))
          (local.set $i (i32.add (local.get $i) (local.get $lanes)))
          (br_if $vectors (i32.lt_u (local.get $i) (local.get $end))))
        (local.set $i (local.get $end))
        (br $rows))))

  (func $spread_x8! (param $c v128) (result v128) (local.get $c))
  (func $spread_x32! (param $c v128) (result v128)
    (i8x16.shuffle 0 0 0 0 1 1 1 1 2 2 2 2 3 3 3 3 (local.get $c) (local.get $c)))
  (func $spread_x64! (param $c v128) (result v128)
    (i8x16.shuffle 0 0 0 0 0 0 0 0 1 1 1 1 1 1 1 1 (local.get $c) (local.get $c)))

  (@kernel "x8_where" (call $where! (ref.func $spread_x8!)
    (ref.func $splat_x8!) (ref.func $store_x8!) (i32.const 0) (i32.const 16)))
  (@kernel "x32_where" (call $where! (ref.func $spread_x32!)
    (ref.func $splat_x32!) (ref.func $store_x32!) (i32.const 2) (i32.const 4)))
  (@kernel "x64_where" (call $where! (ref.func $spread_x64!)
    (ref.func $splat_x64!) (ref.func $store_x64!) (i32.const 3) (i32.const 2)))
)
