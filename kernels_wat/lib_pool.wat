;; lib_pool — windows over channels-last feature maps
;; Layout    images ix bytes apart; pixels of `size` bytes; y [n][oh][ow], its pixels py bytes apart, rows and images following on
;; Window    the taps inside x, dy and dx bytes apart · rows, cols: for each row and each column of y three i32: byte offset of
;;           the first tap inside x, how many are inside, how many count in the divisor
;; Writes    output rows m0 ≤ n·oh + row < m1; reads up to 60 bytes past x
(module
  (type $finish (func (param v128 i32) (result v128)))

  ;; Up to `step` bytes of an output pixel, of which `rest` are stored: y, first tap, ny × nx taps inside x, dy and dx bytes
  ;; apart, taps that count, rest, and what else a kernel passes on.
  (type $window (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))

  (func $pool! (param $window (ref $window)) (param $step i32)
               (param $y i32) (param $x i32) (param $q i32) (param $rows i32) (param $cols i32)
               (param $size i32) (param $oh i32) (param $ow i32) (param $ix i32) (param $py i32)
               (param $dy i32) (param $dx i32) (param $m0 i32) (param $m1 i32)
    (local $m i32) (local $image i32) (local $row i32) (local $line i32) (local $ny i32) (local $high i32)
    (local $out i32) (local $col i32) (local $left i32) (local $p i32) (local $nx i32) (local $count i32) (local $j i32)
    (local.set $out (i32.add (local.get $y) (i32.mul (i32.mul (local.get $m0) (local.get $ow)) (local.get $py))))
    (local.set $m (local.get $m0))
    (block $done
      (loop $lines
        (br_if $done (i32.ge_u (local.get $m) (local.get $m1)))
        (local.set $image (i32.div_u (local.get $m) (local.get $oh)))
        (local.set $row
          (i32.add (local.get $rows)
            (i32.mul
              (i32.sub (local.get $m) (i32.mul (local.get $image) (local.get $oh)))
              (i32.const 12))))
        (local.set $line
          (i32.add (i32.add (local.get $x) (i32.mul (local.get $image) (local.get $ix))) (i32.load (local.get $row))))
        (local.set $ny (i32.load offset=4 (local.get $row)))
        (local.set $high (i32.load offset=8 (local.get $row)))
        (local.set $col (local.get $cols))
        (local.set $left (local.get $ow))
        (loop $pixels
          (local.set $p (i32.add (local.get $line) (i32.load (local.get $col))))
          (local.set $nx (i32.load offset=4 (local.get $col)))
          (local.set $count (i32.mul (local.get $high) (i32.load offset=8 (local.get $col))))
          (local.set $j (i32.const 0))
          (loop $channels
            (call_ref $window
              (i32.add (local.get $out) (local.get $j)) (i32.add (local.get $p) (local.get $j))
              (local.get $ny) (local.get $nx) (local.get $dy) (local.get $dx) (local.get $count)
              (i32.sub (local.get $size) (local.get $j)) (local.get $q)
              (local.get $window))
            (br_if $channels
              (i32.lt_u (local.tee $j (i32.add (local.get $j) (local.get $step))) (local.get $size))))
          (local.set $out (i32.add (local.get $out) (local.get $py)))
          (local.set $col (i32.add (local.get $col) (i32.const 12)))
          (br_if $pixels (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.set $m (i32.add (local.get $m) (i32.const 1)))
        (br $lines))))

  ;; Sixteen channels of floats: acc = op(acc, tap) from `start` on, row-major; then finish(acc, count).
  (func $window_f32! (param $op (ref $binary)) (param $finish (ref $finish)) (param $start i32)
                     (param $y i32) (param $p i32) (param $ny i32) (param $nx i32) (param $dy i32) (param $dx i32)
                     (param $count i32) (param $rest i32)
    (local $row i32) (local $tap i32) (local $rows i32) (local $taps i32)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local.set $a0 (i32x4.splat (local.get $start)))
    (local.set $a1 (local.get $a0))
    (local.set $a2 (local.get $a0))
    (local.set $a3 (local.get $a0))
    (if (i32.and (i32.ne (local.get $ny) (i32.const 0)) (i32.ne (local.get $nx) (i32.const 0)))
      (then
        (local.set $row (local.get $p))
        (local.set $rows (local.get $ny))
        (loop $rows
          (local.set $tap (local.get $row))
          (local.set $taps (local.get $nx))
          (loop $taps
            (local.set $a0 (call_ref $binary (local.get $a0) (v128.load (local.get $tap)) (local.get $op)))
            (local.set $a1 (call_ref $binary (local.get $a1) (v128.load offset=16 (local.get $tap)) (local.get $op)))
            (local.set $a2 (call_ref $binary (local.get $a2) (v128.load offset=32 (local.get $tap)) (local.get $op)))
            (local.set $a3 (call_ref $binary (local.get $a3) (v128.load offset=48 (local.get $tap)) (local.get $op)))
            (local.set $tap (i32.add (local.get $tap) (local.get $dx)))
            (br_if $taps (local.tee $taps (i32.sub (local.get $taps) (i32.const 1)))))
          (local.set $row (i32.add (local.get $row) (local.get $dy)))
          (br_if $rows (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))))
    (call $store4_x32! (local.get $y)
      (call_ref $finish (local.get $a0) (local.get $count) (local.get $finish))
      (call_ref $finish (local.get $a1) (local.get $count) (local.get $finish))
      (call_ref $finish (local.get $a2) (local.get $count) (local.get $finish))
      (call_ref $finish (local.get $a3) (local.get $count) (local.get $finish))
      (i32.shr_u (local.get $rest) (i32.const 2))))

  (func $pool_f32! (param $window (ref $window))
                   (param $y i32) (param $x i32) (param $rows i32) (param $cols i32)
                   (param $size i32) (param $oh i32) (param $ow i32) (param $ix i32) (param $py i32)
                   (param $dy i32) (param $dx i32) (param $m0 i32) (param $m1 i32)
    (call $pool! (local.get $window) (i32.const 64)
      (local.get $y) (local.get $x) (i32.const 0) (local.get $rows) (local.get $cols)
      (local.get $size) (local.get $oh) (local.get $ow) (local.get $ix) (local.get $py)
      (local.get $dy) (local.get $dx) (local.get $m0) (local.get $m1)))
)
