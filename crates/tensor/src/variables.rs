//! Named parameters with their gradients, in order.

use crate::numeric::Op;
use crate::{DType, Error, Result, Tensor};

/// A parameter: a name, values in f32, and a gradient of the same shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    name: String,
    value: Tensor,
    gradient: Tensor,
}

impl Variable {
    /// Its name, unique in its list.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The gradient.
    pub fn gradient(&self) -> &Tensor {
        &self.gradient
    }

    /// Replaces the values by others of the same shape.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`], with what is wrong as its source, unless `value` is f32 of that shape.
    pub fn set_value(&mut self, value: Tensor) -> Result<()> {
        self.value.check_same("set value", &value).map_err(|source| named(&self.name, source))?;
        self.value = value;
        Ok(())
    }

    /// Replaces the gradient by another of the same shape.
    ///
    /// # Errors
    ///
    /// As [`set_value`](Self::set_value).
    pub fn set_gradient(&mut self, gradient: Tensor) -> Result<()> {
        let checked = self.gradient.check_same("set gradient", &gradient);
        checked.map_err(|source| named(&self.name, source))?;
        self.gradient = gradient;
        Ok(())
    }

    /// The values and the gradient, both to write, in row-major order: what an optimizer needs.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] when memory is shared with a clone and a copy cannot be had.
    pub fn as_mut_slices(&mut self) -> Result<(&mut [f32], &mut [f32])> {
        let name = &self.name;
        let value = self.value.as_mut_slice().map_err(|source| named(name, source))?;
        let gradient = self.gradient.as_mut_slice().map_err(|source| named(name, source))?;
        Ok((value, gradient))
    }
}

/// An ordered list of [`Variable`]s with unique names.
///
/// Arithmetic is on the values of the whole list, pairing variables by position; gradients and
/// names of the right-hand list play no part. To compute with gradients, take them as the values
/// of a list of their own: [`gradients`](Self::gradients).
///
/// ```
/// use lutweave_tensor::{Tensor, Variables};
///
/// let mut variables = Variables::new();
/// variables.push("layer0.weight", Tensor::from_slice(&[2], &[3.0f32, 4.0])?)?;
/// variables.get_mut("layer0.weight")?.as_mut_slices()?.1.fill(0.5);
///
/// // One step down the gradient.
/// let mut step = variables.gradients()?;
/// step.mul_scalar_assign(0.1)?;
/// assert_eq!(variables.norm(), 5.0);
/// variables.sub_assign(&step)?;
/// assert_eq!(variables.get("layer0.weight")?.value().to_vec::<f32>()?, [2.95, 3.95]);
/// # Ok::<(), lutweave_tensor::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variables {
    list: Vec<Variable>,
}

impl Variables {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a variable with a gradient of zeros; gives its position.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a name that is empty or taken; [`Error::Variable`] for values that
    /// are not f32, and when there is no memory for the gradient.
    pub fn push(&mut self, name: impl Into<String>, value: Tensor) -> Result<usize> {
        let (op, name) = ("push variable", name.into());
        if name.is_empty() || self.position(&name).is_some() {
            let expected = "a name that is not empty and not taken";
            return Err(Error::Argument { op, expected, got: format!("{name:?}") });
        }
        if value.dtype() != DType::F32 {
            let source = Error::DType { op, expected: DType::F32.name(), got: value.dtype() };
            return Err(named(&name, source));
        }
        let gradient = Tensor::zeros(DType::F32, value.shape());
        let gradient = gradient.map_err(|source| named(&name, source))?;
        self.list.push(Variable { name, value, gradient });
        Ok(self.list.len() - 1)
    }

    /// Number of variables.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no variable.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Number of values in all variables.
    pub fn elements(&self) -> usize {
        self.list.iter().map(|variable| variable.value.len()).fold(0, usize::saturating_add)
    }

    /// The variables in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Variable> {
        self.list.iter()
    }

    /// The variables in order, to write.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Variable> {
        self.list.iter_mut()
    }

    /// The position of a name, if there is such a variable.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|variable| variable.name == name)
    }

    /// The variable of this name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownVariable`] if there is none.
    pub fn get(&self, name: &str) -> Result<&Variable> {
        let found = self.position(name).map(|position| &self.list[position]);
        found.ok_or_else(|| Error::UnknownVariable { op: "get variable", name: name.into() })
    }

    /// The variable of this name, to write.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownVariable`] if there is none.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Variable> {
        let found = self.position(name).map(|position| &mut self.list[position]);
        found.ok_or_else(|| Error::UnknownVariable { op: "get variable", name: name.into() })
    }

    /// Sets every gradient to zero.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] when a gradient is shared with a clone and a copy cannot be had.
    pub fn zero_gradients(&mut self) -> Result<()> {
        self.each(|variable| variable.gradient.fill(0.0))
    }

    /// The gradients as the values of a list with the same names; nothing is copied until either
    /// is written.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] when there is no memory for the new list's own gradients.
    pub fn gradients(&self) -> Result<Self> {
        let mut list = Self::new();
        for variable in &self.list {
            list.push(variable.name.clone(), variable.gradient.clone())?;
        }
        Ok(list)
    }

    /// Replaces every gradient by the values of a list of the same shapes, for instance
    /// [`gradients`](Self::gradients) after clipping.
    ///
    /// # Errors
    ///
    /// As [`add_assign`](Self::add_assign).
    pub fn set_gradients(&mut self, gradients: &Self) -> Result<()> {
        self.check_same("set gradients", gradients)?;
        for (variable, gradient) in self.list.iter_mut().zip(&gradients.list) {
            variable.gradient = gradient.value.clone();
        }
        Ok(())
    }

    /// Sets every value.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] when memory is shared with a clone and a copy cannot be had.
    pub fn fill(&mut self, value: f64) -> Result<()> {
        self.each(|variable| variable.value.fill(value))
    }

    /// The Euclidean norm of all values together.
    pub fn norm(&self) -> f64 {
        let squares = self.list.iter().map(|variable| variable.value.sum_of_squares());
        libm::sqrt(squares.fold(0.0, |sum, square| sum + square))
    }

    /// The Euclidean norm of all gradients together.
    pub fn gradient_norm(&self) -> f64 {
        let squares = self.list.iter().map(|variable| variable.gradient.sum_of_squares());
        libm::sqrt(squares.fold(0.0, |sum, square| sum + square))
    }

    /// Whether no value and no gradient is infinite or NaN.
    ///
    /// # Errors
    ///
    /// [`Error::Variable`] naming the first variable that is not so.
    pub fn check_finite(&self) -> Result<()> {
        let bad = |tensor: &Tensor| !tensor.is_finite();
        match self.list.iter().find(|variable| bad(&variable.value) || bad(&variable.gradient)) {
            None => Ok(()),
            Some(variable) => {
                let part = if bad(&variable.value) { "value" } else { "gradient" };
                let (expected, got) = ("finite numbers", format!("a {part} that is not"));
                Err(named(&variable.name, Error::Argument { op: "check finite", expected, got }))
            }
        }
    }

    fn each(&mut self, mut f: impl FnMut(&mut Variable) -> Result<()>) -> Result<()> {
        for variable in &mut self.list {
            f(variable).map_err(|source| named(&variable.name, source))?;
        }
        Ok(())
    }

    fn check_same(&self, op: &'static str, other: &Self) -> Result<()> {
        if other.list.len() != self.list.len() {
            return Err(Error::Length { op, expected: self.list.len(), got: other.list.len() });
        }
        for (variable, other) in self.list.iter().zip(&other.list) {
            let checked = variable.value.check_same(op, &other.value);
            checked.map_err(|source| named(&variable.name, source))?;
        }
        Ok(())
    }

    fn combine(&mut self, op: Op, name: &'static str, other: &Self) -> Result<()> {
        self.check_same(name, other)?;
        for (variable, other) in self.list.iter_mut().zip(&other.list) {
            let done = variable.value.combine(op, name, &other.value);
            done.map_err(|source| named(&variable.name, source))?;
        }
        Ok(())
    }
}

macro_rules! arithmetic {
    ($($op:ident, $sign:literal, $assign:ident, $scalar:ident;)*) => {
        impl Variables {$(
            #[doc = concat!("`self = self ", $sign, " other` for the values of every variable.")]
            ///
            /// # Errors
            ///
            /// [`Error::Length`] for a list of another length; [`Error::Variable`], naming the
            /// variable of `self`, when shapes differ (nothing is changed then) or memory runs out.
            pub fn $assign(&mut self, other: &Self) -> Result<()> {
                self.combine(Op::$op, stringify!($assign), other)
            }

            #[doc = concat!("`self = self ", $sign, " scalar` for the values of every variable.")]
            ///
            /// # Errors
            ///
            /// [`Error::Variable`] when memory is shared with a clone and a copy cannot be had.
            pub fn $scalar(&mut self, scalar: f64) -> Result<()> {
                self.each(|variable| variable.value.$scalar(scalar))
            }
        )*}
    };
}
arithmetic! {
    Add, "+", add_assign, add_scalar_assign;
    Sub, "-", sub_assign, sub_scalar_assign;
    Mul, "*", mul_assign, mul_scalar_assign;
    Div, "/", div_assign, div_scalar_assign;
}

impl<'a> IntoIterator for &'a Variables {
    type Item = &'a Variable;
    type IntoIter = std::slice::Iter<'a, Variable>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl<'a> IntoIterator for &'a mut Variables {
    type Item = &'a mut Variable;
    type IntoIter = std::slice::IterMut<'a, Variable>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter_mut()
    }
}

fn named(name: &str, source: Error) -> Error {
    Error::Variable { name: name.into(), source: Box::new(source) }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // small whole numbers, of which sums are exact
mod tests {
    use super::*;

    type Step = fn(&mut Variables, &Variables) -> Result<()>;

    fn list(parts: &[(&str, &[f32])]) -> Variables {
        let mut list = Variables::new();
        for (name, values) in parts {
            list.push(*name, Tensor::from_slice(&[values.len()], values).unwrap()).unwrap();
        }
        list
    }

    fn values(list: &Variables) -> Vec<f32> {
        list.iter().flat_map(|v| v.value().to_vec::<f32>().unwrap()).collect()
    }

    #[test]
    fn arithmetic_is_over_the_whole_list() {
        let other = list(&[("x", &[2.0]), ("y", &[4.0, 8.0])]);
        let cases: [(Step, [f32; 3]); 8] = [
            (Variables::add_assign, [3.0, 6.0, 11.0]),
            (Variables::sub_assign, [-1.0, -2.0, -5.0]),
            (Variables::mul_assign, [2.0, 8.0, 24.0]),
            (Variables::div_assign, [0.5, 0.5, 0.375]),
            (|v, _| v.add_scalar_assign(2.0), [3.0, 4.0, 5.0]),
            (|v, _| v.sub_scalar_assign(2.0), [-1.0, 0.0, 1.0]),
            (|v, _| v.mul_scalar_assign(2.0), [2.0, 4.0, 6.0]),
            (|v, _| v.div_scalar_assign(2.0), [0.5, 1.0, 1.5]),
        ];
        for (i, (step, expected)) in cases.into_iter().enumerate() {
            let mut v = list(&[("a", &[1.0]), ("b", &[2.0, 3.0])]);
            step(&mut v, &other).unwrap();
            assert_eq!(values(&v), expected, "case {i}");
        }
        let mut v = list(&[("a", &[1.0]), ("b", &[2.0, 3.0])]);
        assert_eq!((v.norm(), v.elements(), v.len()), (14.0f64.sqrt(), 3, 2));
        v.fill(0.5).unwrap();
        assert_eq!(values(&v), [0.5; 3]);
    }

    #[test]
    fn gradients_come_and_go() {
        let mut v = list(&[("a", &[1.0]), ("b", &[2.0, 3.0])]);
        for (i, variable) in v.iter_mut().enumerate() {
            variable.as_mut_slices().unwrap().1.fill(i as f32 + 1.0);
        }
        assert_eq!(v.gradient_norm(), 3.0);
        let mut clipped = v.gradients().unwrap();
        clipped.div_scalar_assign(3.0).unwrap();
        assert_eq!(v.gradient_norm(), 3.0, "the copy is its own");
        v.set_gradients(&clipped).unwrap();
        assert!((v.gradient_norm() - 1.0).abs() < 1e-6);
        v.zero_gradients().unwrap();
        assert_eq!((v.gradient_norm(), v.norm()), (0.0, 14.0f64.sqrt()));
        v.get_mut("a").unwrap().as_mut_slices().unwrap().1.fill(f32::NAN);
        assert_eq!(v.check_finite().unwrap_err().to_string(), "variable \"a\"");
    }

    #[test]
    fn errors_name_the_variable_and_change_nothing() {
        let mut v = list(&[("a", &[1.0]), ("b", &[2.0, 3.0])]);
        let before = v.clone();
        let error = v.add_assign(&list(&[("a", &[1.0]), ("b", &[2.0])])).unwrap_err();
        assert_eq!(error.to_string(), "variable \"b\"");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "add_assign: expected shape [2], got [1]");
        assert!(v.add_assign(&list(&[("a", &[1.0])])).is_err());
        assert!(v.set_gradients(&Variables::new()).is_err());
        let f64s = Tensor::zeros(DType::F64, &[1]).unwrap();
        assert!(v.push("c", f64s.clone()).is_err());
        for name in ["a", ""] {
            assert!(v.push(name, Tensor::zeros(DType::F32, &[1]).unwrap()).is_err());
        }
        assert!(v.get_mut("a").unwrap().set_value(f64s.clone()).is_err());
        assert!(v.get_mut("a").unwrap().set_gradient(f64s).is_err());
        let missing = v.get("c").unwrap_err().to_string();
        assert_eq!(missing, "get variable: there is no variable \"c\"");
        assert!(v.get_mut("c").is_err() && v.position("b") == Some(1));
        assert_eq!(v, before);
    }
}
