//! Fits each kind's trait into [`Life`](crate::shell::Life).

/// Implements `Life` for the wrapper of a kind's trait.
macro_rules! fit {
    ($kind:ident, $wrapper:ident) => {
        impl<P: $kind> Life for $wrapper<P> {
            type Config = P::Config;

            fn check(config: &P::Config, faults: &mut Faults) {
                P::check(config, faults);
            }

            fn open(config: P::Config, context: &mut Context) -> Result<Self, PluginError> {
                P::open(config, context).map($wrapper)
            }

            fn start(
                &mut self,
                predecessor: Option<&mut Self>,
                context: &mut Context,
            ) -> Result<(), PluginError> {
                self.0.start(predecessor.map(|wrapped| &mut wrapped.0), context)
            }
        }
    };
}

pub(crate) use fit;
