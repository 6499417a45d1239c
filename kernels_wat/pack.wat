;; pack — B [k][n] to panels W [⌈n/8⌉][k][8], the right operand of f32_gemm, when running
;; Layout    element (k, n) of B at b + k·ks + n·ns, strides in bytes; lanes past n hold any values
;; Writes    the panels m0 ≤ panel < m1; reads up to 28 bytes past B
(module
  (func $f32_pack (export "f32_pack")
    (param $w i32) (param $b i32) (param $k i32) (param $n i32) (param $ks i32) (param $ns i32)
    (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $pw i32) (local $pb i32) (local $i i32) (local $j i32) (local $size i32)
    (local.set $size (i32.shl (local.get $k) (i32.const 5)))
    (local.set $m (local.get $m0))
    (block $done
      (br_if $done (i32.eqz (local.get $k)))
      (loop $panels
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $i (local.get $k))
        (if (i32.eq (local.get $ns) (i32.const 4))
          (then
            ;; Rows of B are dense: eight columns at once.
            (local.set $pw (i32.add (local.get $w) (i32.mul (local.get $m) (local.get $size))))
            (local.set $pb (i32.add (local.get $b) (i32.shl (local.get $m) (i32.const 5))))
            (loop $rows
              (v128.store (local.get $pw) (v128.load (local.get $pb)))
              (v128.store offset=16 (local.get $pw) (v128.load offset=16 (local.get $pb)))
              (local.set $pw (i32.add (local.get $pw) (i32.const 32)))
              (local.set $pb (i32.add (local.get $pb) (local.get $ks)))
              (br_if $rows (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
          (else
            ;; Column after column; past the last one, the last one again.
            (local.set $j (i32.const 0))
            (loop $columns
              (local.set $pw
                (i32.add
                  (i32.add (local.get $w) (i32.mul (local.get $m) (local.get $size)))
                  (i32.shl (local.get $j) (i32.const 2))))
              (local.set $pb
                (i32.add (local.get $b)
                  (i32.mul (local.get $ns)
                    (call $min_u!
                      (i32.add (i32.shl (local.get $m) (i32.const 3)) (local.get $j))
                      (i32.sub (local.get $n) (i32.const 1))))))
              (local.set $i (local.get $k))
              (loop $elements
                (i32.store (local.get $pw) (i32.load (local.get $pb)))
                (local.set $pw (i32.add (local.get $pw) (i32.const 32)))
                (local.set $pb (i32.add (local.get $pb) (local.get $ks)))
                (br_if $elements (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
              (br_if $columns
                (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 8))))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $panels))))
)
